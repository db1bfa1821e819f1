"""Series to runs: the same few slices, imaged again and again."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np

from node.dicom_read.clock import start_seconds
from node.dicom_read.frames import Frame
from node.dicom_read.geometry import LARGEST_ANGLE_DEG, long_axis_angle_deg, slices_of
from node.dicom_read.instances import Aside
from node.dicom_read.recognise import (
    is_proton_density,
    speaks_of_heart,
    speaks_of_perfusion,
)
from node.dicom_read.sources import NotShortAxisError
from node.dicom_read.times import (
    Timing,
    clock_timing,
    find_timing,
    unclear_moments,
)
from pipeline.study import FloatArray

_MOST_SLICES = 12
_LONGEST_PAUSE_S = 30.0
"""A longer pause in one series separates two first passes."""
_MOST_PROTON_DENSITY_FRAMES = 10
LATER_ECHO = "it is a later echo; the first echo is used"


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """Images of several slices, repeated over time, of one series or a part of it."""

    slices: tuple[tuple[Frame, ...], ...]
    """In time order."""
    seconds: tuple[FloatArray, ...]
    """By the key of `timing`, strictly rising in each slice."""
    timing: Timing
    offset_s: float | None
    """To add to `seconds` for the clock; None where the headers have none."""

    @property
    def first(self) -> Frame:
        """Any frame, for what is the same in all."""
        return self.slices[0][0]

    @property
    def study_uid(self) -> str:
        """The examination it belongs to."""
        return self.first.header.text("StudyInstanceUID")

    @property
    def span_s(self) -> tuple[float, float] | None:
        """First and last acquisition on the clock."""
        if self.offset_s is None:
            return None
        first = min(float(times[0]) for times in self.seconds)
        last = max(float(times[-1]) for times in self.seconds)
        return first + self.offset_s, last + self.offset_s

    @property
    def is_proton_density(self) -> bool:
        """Whether all its images are proton-density weighted."""
        return all(is_proton_density(frame) for frames in self.slices for frame in frames)

    @property
    def most_frames(self) -> int:
        """Frames of the slice that has most."""
        return max(len(frames) for frames in self.slices)


def find_runs(frames: Sequence[Frame], aside: Aside) -> list[Run]:
    """Return the dynamic short-axis images; every other series is set aside with a reason."""
    series: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        series[frame.series_uid].append(frame)
    runs: list[Run] = []
    for uid in sorted(series):
        members = series[uid]
        found = _runs_of_series(members, aside)
        if isinstance(found, str):
            aside.add(members[0].series, found, _paths(members))
        else:
            runs += found
    return runs


def _runs_of_series(frames: Sequence[Frame], aside: Aside) -> list[Run] | str:
    """Return the runs of one series, or why there are none."""
    slices = slices_of(frames, most=_MOST_SLICES)
    if slices is None:
        return f"it covers more than {_MOST_SLICES} positions: a stack or volume, not dynamic"
    slices = [_first_echoes(_without_copies(members, aside), aside) for members in slices]
    timing = find_timing(slices, measured=True)
    if timing is None:
        slices = [_one_a_moment(members, aside) for members in slices]
        timing = find_timing(slices, measured=True) or find_timing(slices, measured=False)
    if is_proton_density(frames[0]) and _most(slices) <= _MOST_PROTON_DENSITY_FRAMES:
        timing = timing if _most(slices) > 1 else None
        timing = timing or clock_timing(slices)
    elif _most(slices) < 2:
        return "it has one image at each position: no dynamic series"
    reason = _refusal_by_structure(slices, timing)
    if reason is not None or timing is None:
        return reason or "its images carry no times"
    short_axis = [i for i, members in enumerate(slices) if _is_short_axis(members[0])]
    for index in sorted(set(range(len(slices))) - set(short_axis)):
        reason = "the slice is not short axis"
        aside.add(frames[0].series, reason, _paths(slices[index]), NotShortAxisError)
    kept = replace(timing, seconds=tuple(timing.seconds[i] for i in short_axis))
    return _split_at_pauses(_run([slices[i] for i in short_axis], kept)) if short_axis else []


def _refusal_by_structure(slices: Sequence[Sequence[Frame]], timing: Timing | None) -> str | None:
    """Say why images that repeat are no first-pass perfusion; None where they may be."""
    header = slices[0][0].header
    if (timing is None or not timing.key.absolute) and _is_cine(slices):
        return "its images are phases of one heart beat (trigger times): a cine series"
    if timing is None:
        return "no time in its headers rises by 0.3 s to 4 s from image to image of a slice"
    if not timing.key.measured and not speaks_of_perfusion(header):
        return "its images carry no measured times, and no word says that it is perfusion"
    if not speaks_of_heart(header):
        return (
            "nothing in its headers speaks of first-pass perfusion of the heart: "
            "no trigger, no saturation pulse, no contrast agent, no word"
        )
    return None


def _without_copies(frames: Sequence[Frame], aside: Aside) -> list[Frame]:
    """Leave out images that were sent again under another UID: all their times are the same."""
    keys = (
        "InstanceNumber",  # the first: without it nothing is certain
        "AcquisitionTime",
        "AcquisitionDateTime",
        "FrameAcquisitionDateTime",
        "TriggerTime",
        "TemporalPositionIdentifier",
        "EchoTime",
    )
    seen: set[tuple[object, ...]] = set()
    kept = []
    for frame in frames:
        values = [frame.header.text(key) for key in keys]
        identity = (frame.source.frame_number, *values)
        if values[0] and identity in seen:
            reason = "the same image is there twice under two UIDs; one is used"
            aside.add(frame.series, reason, [frame.source.path])
        else:
            seen.add(identity)
            kept.append(frame)
    return kept


def _one_a_moment(frames: Sequence[Frame], aside: Aside) -> list[Frame]:
    """Leave out the few images that the clock does not place between the others."""
    unclear = unclear_moments(frames)
    reason = "its time is missing or is that of another image of its slice, which is used"
    aside.add(frames[0].series, reason, [frames[i].source.path for i in unclear])
    return [frame for i, frame in enumerate(frames) if i not in unclear]


def _first_echoes(frames: Sequence[Frame], aside: Aside) -> list[Frame]:
    """Keep the first echo where each image was taken at several echo times.

    The second of two goes with the first; who needs only one leaves it (`one_echo`).
    """
    echoes = [frame.echo_time_ms or 0.0 for frame in frames]
    counts = Counter(echoes)
    if len(counts) < 2 or 2 * min(counts.values()) < max(counts.values()):
        return list(frames)
    first, late = (
        [f for f, echo in zip(frames, echoes, strict=True) if (echo > min(echoes)) is later]
        for later in (False, True)
    )
    if len(counts) == 2 and len(first) == len(late):
        pairs = zip(sorted(first, key=_moment), sorted(late, key=_moment), strict=True)
        return [replace(one, second_echo=other) for one, other in pairs]
    aside.add(frames[0].series, LATER_ECHO, _paths(late))
    return first


def one_echo(frames: Sequence[Frame], aside: Aside) -> tuple[Frame, ...]:
    """Leave the second echoes of `frames` alone."""
    late = [frame.second_echo for frame in frames if frame.second_echo is not None]
    aside.add(frames[0].series, LATER_ECHO, _paths(late))
    return tuple(replace(frame, second_echo=None) for frame in frames)


def _moment(frame: Frame) -> tuple[str | float, ...]:
    """Sort key: the order of acquisition among the images of one echo of one slice."""
    texts = (
        "FrameAcquisitionDateTime",
        "AcquisitionDateTime",
        "AcquisitionDate",
        "AcquisitionTime",
    )
    numbers = ("TemporalPositionIndex", "TemporalPositionIdentifier", "InstanceNumber")
    header = frame.header
    return (
        *(header.text(key) for key in texts),
        *(header.number(key) or 0.0 for key in numbers),
        float(frame.source.frame_number or 0),
    )


def _run(slices: Sequence[Sequence[Frame]], timing: Timing) -> Run:
    """Sort the frames of each slice by time."""
    orders = [np.argsort(times, kind="stable") for times in timing.seconds]
    ordered = [
        tuple(frames[i] for i in order) for frames, order in zip(slices, orders, strict=True)
    ]
    seconds = tuple(times[o] for times, o in zip(timing.seconds, orders, strict=True))
    if timing.key.absolute:
        offset: float | None = 0.0
    else:
        # relative times count from the start of the scan, which is what the clock tells then
        starts = [start_seconds(frames[0].header) for frames in ordered]
        known = [start for start in starts if start is not None]
        offset = min(known) if known else None
    return Run(slices=tuple(ordered), seconds=seconds, timing=timing, offset_s=offset)


def _split_at_pauses(run: Run) -> list[Run]:
    """Split a series that holds several first passes, one after the other."""
    moments = np.unique(np.concatenate(run.seconds))
    pauses = np.flatnonzero(np.diff(moments) > _LONGEST_PAUSE_S)
    edges = [-np.inf, *((moments[pauses] + moments[pauses + 1]) / 2), np.inf]
    return [_part(run, start, stop) for start, stop in pairwise(edges)]


def _part(run: Run, start: float, stop: float) -> Run:
    """Return the frames from `start` up to `stop`."""
    slices, seconds = [], []
    for frames, times in zip(run.slices, run.seconds, strict=True):
        inside = np.flatnonzero((times >= start) & (times < stop))
        if inside.size:
            slices.append(tuple(frames[i] for i in inside))
            seconds.append(times[inside])
    return replace(run, slices=tuple(slices), seconds=tuple(seconds))


def _is_cine(slices: Sequence[Sequence[Frame]]) -> bool:
    """Whether the images of a slice are phases of one beat: distinct, closely spaced triggers."""
    frames = max(slices, key=len)
    delays = {
        frame.header.number("NominalCardiacTriggerDelayTime", "TriggerTime") for frame in frames
    }
    known = sorted(delay for delay in delays if delay is not None)
    if len(known) < max(0.9 * len(frames), 5):
        return False
    steps = [later - earlier for earlier, later in pairwise(known)]
    return known[-1] - known[0] > 250 and median(steps) < 200


def _is_short_axis(frame: Frame) -> bool:
    return long_axis_angle_deg(frame.geometry) <= LARGEST_ANGLE_DEG


def _most(slices: Sequence[Sequence[Frame]]) -> int:
    return max(len(members) for members in slices)


def _paths(frames: Sequence[Frame]) -> list[Path]:
    return [frame.source.path for frame in frames]
