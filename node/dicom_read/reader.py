"""DICOM files to a `PerfusionStudy`: the only reader of headers."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from node.config import Analysis
from node.dicom_read.frames import Frame, frames_of
from node.dicom_read.header import tolerant_reading
from node.dicom_read.instances import Aside, open_instances
from node.dicom_read.passes import Pass, find_passes
from node.dicom_read.physics import assumptions, read_physics
from node.dicom_read.pixels import read_signal
from node.dicom_read.recognise import FEWEST_FRAMES, find_runs
from node.dicom_read.sources import (
    FirstPassSource,
    NoPerfusionError,
    PixelDataError,
    ReadStudy,
    SeveralPatientsError,
    SliceSource,
)
from node.dicom_read.states import state_by_words
from node.dicom_read.times import beat_interval_s
from pipeline.study import FirstPass, PerfusionSlice, PerfusionStudy, State


def read_study(files: Sequence[Path], config: Analysis) -> ReadStudy:
    """Turn the files of one examination into arrays, or say precisely why not.

    Parameters
    ----------
    files
        Any files in any order: what is no perfusion image is set aside with a reason.
    config
        Physics that headers do not carry, and words that mark rest and stress.

    Raises
    ------
    NoPerfusionError
        Nothing can be analysed; subclasses tell why where one reason decides.
    """
    with tolerant_reading():
        aside = Aside()
        frames = frames_of(open_instances(files, aside), aside)
        passes = find_passes(find_runs(frames, aside), aside)
        passes = _of_one_patient_and_study(passes, aside)
        if not passes:
            raise NoPerfusionError("No first-pass perfusion series was found.", aside.entries())
        return _study(passes, config, aside)


def _of_one_patient_and_study(passes: list[Pass], aside: Aside) -> list[Pass]:
    """Refuse to mix patients; keep the study with most frames where there are several."""
    frames = [frame for found in passes for members in found.slices for frame in members]
    if len({frame.header.text("PatientID") for frame in frames}) > 1:
        summary = "The perfusion images belong to more than one patient; nothing was analysed."
        raise SeveralPatientsError(summary, aside.entries())
    counts = Counter(frame.header.text("StudyInstanceUID") for frame in frames)
    if len(counts) <= 1:
        return passes
    chosen = max(sorted(counts), key=lambda uid: counts[uid])
    kept = []
    for found in passes:
        if found.first.header.text("StudyInstanceUID") == chosen:
            kept.append(found)
        else:
            paths = {frame.source.path for members in found.slices for frame in members}
            aside.add(found.first.series, "it belongs to another examination", paths)
    return kept


def _study(passes: Sequence[Pass], config: Analysis, aside: Aside) -> ReadStudy:
    """Read pixel data and physics of all first passes."""
    notes: list[str] = []
    labels = _labels([state_by_words(found.first.header, config)[0] for found in passes])
    first_passes, sources = [], []
    for found, label in zip(passes, labels, strict=True):
        slices, slice_sources = _slices(found, aside)
        if not slices:
            continue
        first_passes.append(_first_pass(found, label, slices, config, notes))
        sources.append(
            FirstPassSource(
                slices=slice_sources,
                time_key=found.time_key,
                heart_rate_origin=None,
            )
        )
    if not first_passes:
        summary = "The pixel data of the perfusion images cannot be read."
        raise PixelDataError(summary, aside.entries())
    return ReadStudy(
        study=PerfusionStudy(first_passes=tuple(first_passes), notes=tuple(notes)),
        sources=tuple(sources),
        set_aside=aside.entries(),
        study_instance_uid=passes[0].first.header.text("StudyInstanceUID"),
    )


def _labels(states: Sequence[State]) -> list[str]:
    """Name first passes uniquely: ``rest``, ``stress``, ``stress 2``, ``perfusion 1``."""
    labels: list[str] = []
    seen: Counter[str] = Counter()
    for number, state in enumerate(states, start=1):
        if state is State.UNDETERMINED:
            labels.append(f"perfusion {number}")
            continue
        seen[state.value] += 1
        count = seen[state.value]
        labels.append(state.value if count == 1 else f"{state.value} {count}")
    return labels


def _slices(
    found: Pass, aside: Aside
) -> tuple[tuple[PerfusionSlice, ...], tuple[SliceSource, ...]]:
    """Read the pixel data of each slice; frames that cannot be decoded are set aside."""
    slices, sources = [], []
    for frames, seconds in zip(found.slices, found.seconds, strict=True):
        signal = read_signal(frames)
        good = [index for index, image in enumerate(signal) if image is not None]
        bad = [frames[i].source.path for i, image in enumerate(signal) if image is None]
        if bad:
            aside.add(frames[0].series, "its pixel data cannot be decoded", bad)
        if len(good) < FEWEST_FRAMES:
            continue
        slices.append(
            PerfusionSlice(
                frames=np.stack([image for image in signal if image is not None]),
                time_s=seconds[good],
                geometry=frames[0].geometry,
            )
        )
        sources.append(_slice_source([frames[index] for index in good]))
    return tuple(slices), tuple(sources)


def _slice_source(frames: Sequence[Frame]) -> SliceSource:
    return SliceSource(
        frames=tuple(frame.source for frame in frames),
        series_instance_uid=frames[0].series_uid,
        frame_of_reference_uid=frames[0].header.text("FrameOfReferenceUID") or None,
    )


def _first_pass(
    found: Pass,
    label: str,
    slices: tuple[PerfusionSlice, ...],
    config: Analysis,
    notes: list[str],
) -> FirstPass:
    """Put a first pass together and note what was decided."""
    header = found.first.header
    state, reason = state_by_words(header, config)
    physics, physics_notes = read_physics(header, config)
    notes.append(f"{label}: the times of the images are {found.time_key}.")
    notes += [f"{label}: {note}" for note in physics_notes]
    notes += assumptions(physics, label)
    interval = beat_interval_s(found.slices[0])
    return FirstPass(
        label=label,
        state=state,
        state_reason=reason,
        slices=slices,
        physics=physics,
        heart_rate_bpm=None if interval is None else 60.0 / interval,
    )
