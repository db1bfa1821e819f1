"""What one header announces of its series: whether it holds a whole first pass, and which."""

from pathlib import Path

from node.config import Analysis
from node.dicom_read.frames import Frame, frames_of
from node.dicom_read.header import tolerant_reading
from node.dicom_read.instances import Aside, open_instances
from node.dicom_read.passes import FEWEST_FRAMES
from node.dicom_read.recognise import (
    is_input_series,
    is_motion_compensated,
    is_proton_density,
    refusal,
    speaks_of_perfusion,
)
from node.dicom_read.states import Evidence, decide_states
from pipeline.study import State

_FEWEST_SLICES = 2
"""Where each slice is a series of its own, a whole series is no whole first pass."""


def announced_state(path: Path, config: Analysis) -> State | None:
    """Return the state of the first pass that the series of an image holds once it is whole.

    None where the header leaves any doubt: about its being a first pass, all slices of it, at rest
    or under stress. Words and codes decide the state, never a comparison with another series.
    """
    with tolerant_reading():
        aside = Aside()
        frames = [one for image in open_instances([path], aside) for one in frames_of(image, aside)]
        if len(frames) != 1 or not _announces_first_pass(frames[0]):
            return None
        evidence = Evidence(headers=(frames[0].header,), heart_rate_bpm=None, start_s=None)
        (decision,) = decide_states([evidence], config)
    return decision.state if decision.state in (State.REST, State.STRESS) else None


def _announces_first_pass(frame: Frame) -> bool:
    """Whether the series is perfusion imaging by its words, of several slices over many beats.

    Images in Acquisition counts the slices where Number of Temporal Positions counts the beats.
    """
    beats = frame.header.number("NumberOfTemporalPositions") or 0
    slices = frame.header.number("ImagesInAcquisition") or 0
    is_something_else = (
        refusal(frame) is not None
        or is_input_series(frame)
        or is_motion_compensated(frame)
        or is_proton_density(frame)
    )
    return (
        beats >= FEWEST_FRAMES
        and slices >= _FEWEST_SLICES
        and speaks_of_perfusion(frame.header)
        and not is_something_else
    )
