"""Which series are first-pass perfusion: by structure first, then by words and image types."""

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from node.dicom_read.frames import Frame
from node.dicom_read.geometry import LARGEST_ANGLE_DEG, long_axis_angle_deg, slices_of
from node.dicom_read.header import Header
from node.dicom_read.instances import Aside
from node.dicom_read.states import plain
from node.dicom_read.times import Timing, find_timing, start_seconds
from pipeline.study import FloatArray

FEWEST_FRAMES = 20
_MOST_SLICES = 12
_LONGEST_ECHO_TIME_MS = 10.0
_LONGEST_PAUSE_S = 30.0
"""A longer pause in one series separates two first passes."""

_TYPES = (
    ({"LOCALIZER"}, "it is a localizer"),
    ({"P", "PHASE", "PHASE MAP", "VELOCITY", "REAL", "IMAGINARY", "R", "I"}, "it is no magnitude"),
    ({"T1 MAP", "T2 MAP", "T2_STAR MAP", "MAP", "ADC", "FLOW_MAP", "BOLUS"}, "it is a map"),
    ({"DIFFUSION", "FMRI", "MPR", "PROJECTION IMAGE"}, "it is no dynamic image of the heart"),
)
_WORDS = (
    (r"localizer|localiser|scout|survey|haste|topogram", "a localizer"),
    (r"cine|zine|function", "a cine series"),
    (r"lge|late|delayed|viab\w*|psir|de", "late enhancement"),
    (r"molli|shmolli|sasha|t1 ?map\w*|t2 ?map\w*|map|mbf|ecv", "a map"),
    (r"flow|velocity|venc", "a flow measurement"),
    (r"tagging|tag|dti|dwi|diffusion|bold|fmri|asl", "another kind of imaging"),
)
_PERFUSION_WORDS = r"perf\w*|first ?pass|dynamic|dyn|tfl?iperf|gd ?fp"
_OTHER_BODY_PARTS = ("BRAIN", "HEAD", "BREAST", "PROSTATE", "LIVER", "KNEE", "SPINE")


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """Images of several slices, repeated over time, of one series or a part of it."""

    slices: tuple[tuple[Frame, ...], ...]
    """In time order."""
    seconds: tuple[FloatArray, ...]
    """By the key of `timing`, strictly rising in each slice."""
    timing: Timing
    offset_s: float | None
    """To add to `seconds` for the time of day; None where the headers have no clock."""

    @property
    def first(self) -> Frame:
        """Any frame, for what is the same in all."""
        return self.slices[0][0]

    @property
    def span_s(self) -> tuple[float, float] | None:
        """First and last acquisition on the clock."""
        if self.offset_s is None:
            return None
        first = min(float(times[0]) for times in self.seconds)
        last = max(float(times[-1]) for times in self.seconds)
        return first + self.offset_s, last + self.offset_s


def find_runs(frames: Sequence[Frame], aside: Aside) -> list[Run]:
    """Return the dynamic short-axis images; every other series is set aside with a reason."""
    series: dict[str, list[Frame]] = defaultdict(list)
    for frame in frames:
        series[frame.series_uid].append(frame)
    runs: list[Run] = []
    for uid in sorted(series):
        members = series[uid]
        reason = _refusal_by_type(members) or _refusal_by_words(members[0].header)
        found = reason or _runs_of_series(members, aside)
        if isinstance(found, str):
            aside.add(members[0].series, found, {frame.source.path for frame in members})
        else:
            runs += found
    return runs


def _refusal_by_type(frames: Sequence[Frame]) -> str | None:
    """Refuse what the image type or the contrast says is something else."""
    for types, reason in _TYPES:
        found = frames[0].image_type & types
        if found:
            return f"{reason} (image type {min(found)})"
    header = frames[0].header
    if (header.number("DiffusionBValue") or 0) > 0:
        return "it is diffusion imaging (b-value)"
    echo_time = header.number("EchoTime", "EffectiveEchoTime")
    if echo_time is not None and echo_time > _LONGEST_ECHO_TIME_MS:
        return f"its echo time of {echo_time:g} ms is not that of first-pass perfusion"
    if header.text("BodyPartExamined").upper() in _OTHER_BODY_PARTS:
        return "it does not show the heart (body part examined)"
    return None


def _refusal_by_words(header: Header) -> str | None:
    """Refuse what its description calls something else, unless it also speaks of perfusion."""
    for keyword in ("SeriesDescription", "ProtocolName"):
        text = plain(header.text(keyword))
        if re.search(rf"\b(?:{_PERFUSION_WORDS})\b", text) and not re.search(r"\bmaps?\b", text):
            return None
        for words, kind in _WORDS:
            match = re.search(rf"\b(?:{words})\b", text)
            if match:
                return f"it is {kind} ({keyword} says '{match.group()}')"
    return None


def _runs_of_series(frames: Sequence[Frame], aside: Aside) -> list[Run] | str:
    """Return the runs of one series, or why there are none."""
    slices = slices_of(frames)
    if len(slices) > _MOST_SLICES:
        return f"it covers {len(slices)} positions: a stack or a volume, no dynamic series"
    if max(len(members) for members in slices) < 2:
        return "it has one image at each position: no dynamic series"
    if _is_cine(slices):
        return "its images are phases of one heart beat (trigger times): a cine series"
    timing = find_timing(slices)
    if timing is None:
        return (
            "its images carry no plausible times: no header value rises by 0.3 s to 4 s "
            "from image to image"
        )
    if not _speaks_of_heart(frames[0].header):
        return (
            "nothing in its headers speaks of first-pass perfusion of the heart: "
            "no trigger, no saturation pulse, no contrast agent, no word"
        )
    short_axis = [i for i, members in enumerate(slices) if _is_short_axis(members[0])]
    if not short_axis:
        return "it is dynamic, but none of its slices is short axis"
    for index in sorted(set(range(len(slices))) - set(short_axis)):
        paths = {frame.source.path for frame in slices[index]}
        aside.add(frames[0].series, "one of its slices is not short axis", paths)
    kept = replace(timing, seconds=tuple(timing.seconds[i] for i in short_axis))
    return _split_at_pauses(_run([slices[i] for i in short_axis], kept))


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
        starts = [start_seconds(frames[0].header) for frames in ordered]
        known = [start for start in starts if start is not None]
        offset = min(known) - min(float(t[0]) for t in seconds) if known else None
    return Run(slices=tuple(ordered), seconds=seconds, timing=timing, offset_s=offset)


def _split_at_pauses(run: Run) -> list[Run]:
    """Split a series that holds several first passes, one after the other."""
    all_times = np.unique(np.concatenate(run.seconds))
    pauses = np.flatnonzero(np.diff(all_times) > _LONGEST_PAUSE_S)
    edges = [-np.inf, *((all_times[pauses] + all_times[pauses + 1]) / 2), np.inf]
    parts = []
    for start, stop in pairwise(edges):
        masks = [(times >= start) & (times < stop) for times in run.seconds]
        kept = [i for i, mask in enumerate(masks) if mask.any()]
        parts.append(
            replace(
                run,
                slices=tuple(
                    tuple(f for f, keep in zip(run.slices[i], masks[i], strict=True) if keep)
                    for i in kept
                ),
                seconds=tuple(run.seconds[i][masks[i]] for i in kept),
            )
        )
    return parts


def _is_cine(slices: Sequence[Sequence[Frame]]) -> bool:
    """Whether the images of a slice are phases of one beat: distinct, closely spaced triggers."""
    most = max(slices, key=len)
    delays = [
        frame.header.number("TriggerTime", "NominalCardiacTriggerDelayTime") for frame in most
    ]
    known = np.unique([delay for delay in delays if delay is not None])
    if len(known) < max(0.9 * len(most), 5):
        return False
    return bool(known[-1] - known[0] > 250 and np.median(np.diff(known)) < 200)


def _speaks_of_heart(header: Header) -> bool:
    """Whether anything but the structure says that this is first-pass perfusion of the heart."""
    words = plain(f"{header.text('SeriesDescription')} {header.text('ProtocolName')}")
    numbers = ("HeartRate", "NominalInterval", "RRIntervalTimeNominal", "InversionTime")
    return (
        re.search(rf"\b(?:{_PERFUSION_WORDS})\b", words) is not None
        or any((header.number(keyword) or 0) > 0 for keyword in numbers)
        or "CG" in header.texts("ScanOptions")
        or header.text("SaturationRecovery") == "YES"
        or header.text("CardiacSynchronizationTechnique") not in ("", "NONE")
        or bool(header.text("ContrastBolusAgent"))
    )


def _is_short_axis(frame: Frame) -> bool:
    return long_axis_angle_deg(frame.geometry) <= LARGEST_ANGLE_DEG
