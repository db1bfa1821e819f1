"""The acquisition time of every frame of one slice, from the best header value there is.

Measured times go before nominal ones: where triggers were missed, irregular times are right and
an invented regular time is wrong.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

import numpy as np

from node.dicom_read import philips, siemens
from node.dicom_read.clock import clock_seconds, date_time_seconds, over_midnight, start_seconds
from node.dicom_read.frames import Frame
from pipeline.study import FloatArray

SHORTEST_STEP_S = 0.3
LONGEST_STEP_S = 4.0
_FEWEST_FOR_RESOLUTION = 8
_MOST_UNCLEAR = 0.1
_SAME_START_S = 1e-3
_LARGEST_SPREAD_S = 0.2

_Values = list[float | None]


@dataclass(frozen=True, kw_only=True)
class TimeKey:
    """One way to time the frames of a slice."""

    name: str
    """In words, for the report."""
    absolute: bool
    """Whether values of different series can be compared."""
    measured: bool
    """False: put together from the order of the images and the intervals of the beats."""
    seconds: Callable[[Sequence[Frame]], _Values]


@dataclass(frozen=True, kw_only=True, eq=False)
class Timing:
    """Times of the frames of several slices of one series."""

    key: TimeKey
    seconds: tuple[FloatArray, ...]
    """Per slice, in the order of its frames as given (not sorted) [s]."""
    coarse: bool
    """Whether the times are whole seconds."""


def find_timing(slices: Sequence[Sequence[Frame]], *, measured: bool) -> Timing | None:
    """Time all slices of a series by the first key that is plausible in each; None: there is none.

    Plausible: no two frames of a slice at the same time, and a median interval of 0.3 s to 4 s.
    Whole seconds are taken only where no finer measured key is.
    """
    coarse: Timing | None = None
    for key in TIME_KEYS:
        timing = _try(key, slices) if key.measured is measured else None
        if timing is not None and not timing.coarse:
            return timing
        coarse = coarse or timing
    return coarse


def unclear_moments(frames: Sequence[Frame]) -> list[int]:
    """Return the indices of frames with no time on the clock, or with that of an earlier frame.

    Few of them are images that were stored twice or damaged; many say that the clock is too
    coarse, and then none is returned.
    """
    for key in TIME_KEYS:
        values = key.seconds(frames) if key.absolute else []
        first: dict[float, int] = {}
        unclear = [
            i for i, value in enumerate(values) if value is None or first.setdefault(value, i) != i
        ]
        if unclear and len(unclear) <= _MOST_UNCLEAR * len(frames):
            return unclear
    return []


def clock_timing(slices: Sequence[Sequence[Frame]]) -> Timing | None:
    """Time images that do not repeat by the clock, however coarse; None where they have none."""
    seconds = [[start_seconds(frame.header) for frame in frames] for frames in slices]
    if any(value is None for values in seconds for value in values):
        return None
    timed = tuple(np.array([value or 0.0 for value in values]) for values in seconds)
    return Timing(key=_ACQUISITION_TIME, seconds=timed, coarse=True)


def _try(key: TimeKey, slices: Sequence[Sequence[Frame]]) -> Timing | None:
    """Time the slices by one key; None where that is not plausible."""
    timed = []
    for frames in slices:
        values = key.seconds(frames)
        numbers = [value for value in values if value is not None]
        if len(numbers) < len(values) or not _plausible(numbers):
            return None
        if key.absolute and _contradicts_positions(frames, numbers):
            return None
        timed.append(np.array(numbers))
    coarse = key.measured and all(
        len(times) >= _FEWEST_FOR_RESOLUTION and bool(np.all(times == np.round(times)))
        for times in timed
    )
    return Timing(key=key, seconds=_apart(slices, timed), coarse=coarse)


def _apart(slices: Sequence[Sequence[Frame]], timed: list[FloatArray]) -> tuple[FloatArray, ...]:
    """Add its delay in the beat to each slice where the key gives one time for all slices."""
    starts = [float(times.min()) for times in timed]
    if len(timed) < 2 or max(starts) - min(starts) > _SAME_START_S:
        return tuple(timed)
    delays = [_delay_in_beat_s(frames) for frames in slices]
    return tuple(times + delay for times, delay in zip(timed, delays, strict=True))


def _contradicts_positions(frames: Sequence[Frame], seconds: Sequence[float]) -> bool:
    """Whether times run across the temporal positions: some de-identification scrambles clocks."""
    positions = [
        frame.header.number("TemporalPositionIdentifier", "TemporalPositionIndex")
        for frame in frames
    ]
    if None in positions or len(set(positions)) < len(positions):
        return False
    in_time = [positions[i] or 0.0 for i in np.argsort(seconds, kind="stable")]
    backwards = sum(later < earlier for earlier, later in pairwise(in_time))
    return backwards > _MOST_UNCLEAR * len(frames)


def _plausible(seconds: Sequence[float]) -> bool:
    """Whether times are those of one slice of a first pass, one image every one or two beats."""
    if len(seconds) < 2:
        return True
    steps = np.diff(np.sort(seconds))
    return bool(steps.min() > 0 and SHORTEST_STEP_S <= np.median(steps) <= LONGEST_STEP_S)


def _frame_date_time(frames: Sequence[Frame]) -> _Values:
    return [date_time_seconds(frame.header.text("FrameAcquisitionDateTime")) for frame in frames]


def _acquisition_time(frames: Sequence[Frame]) -> _Values:
    headers = [frame.header for frame in frames]
    return over_midnight(
        [clock_seconds(h.text("AcquisitionDate"), h.text("AcquisitionTime")) for h in headers]
    )


def _acquisition_date_time(frames: Sequence[Frame]) -> _Values:
    return [date_time_seconds(frame.header.text("AcquisitionDateTime")) for frame in frames]


def _offset_of_position(frames: Sequence[Frame]) -> _Values:
    return [frame.header.number("TemporalPositionTimeOffset") for frame in frames]


def _time_after_start(frames: Sequence[Frame]) -> _Values:
    return [siemens.time_after_start_s(frame.header) for frame in frames]


def _dynamic_begin(frames: Sequence[Frame]) -> _Values:
    return [philips.dynamic_begin_s(frame.header) for frame in frames]


def _trigger_time(frames: Sequence[Frame]) -> _Values:
    """Cumulative trigger times; where trigger times are delays in the beat they do not pass."""
    return [_milliseconds(frame.header.number("TriggerTime")) for frame in frames]


def _positions_times_interval(frames: Sequence[Frame]) -> _Values:
    interval = beat_interval_s(frames)
    if interval is None:
        return [None] * len(frames)
    return [
        None if position is None else (position - 1) * interval
        for frame in frames
        for position in [frame.header.number("TemporalPositionIdentifier", "TemporalPositionIndex")]
    ]


def _cumulative_intervals(frames: Sequence[Frame]) -> _Values:
    """Sum up the interval of each beat in the order of the instance numbers."""
    order = [frame.header.number("InstanceNumber") for frame in frames]
    beats = [_milliseconds(frame.header.number("NominalInterval")) for frame in frames]
    if None in order or None in beats or len(set(order)) < len(order):
        return [None] * len(frames)
    ranked = sorted(range(len(frames)), key=lambda index: order[index] or 0.0)
    elapsed = 0.0
    values: _Values = [None] * len(frames)
    for index in ranked:
        values[index] = elapsed
        elapsed += beats[index] or 0.0
    return values


def _instance_numbers_times_repetition(frames: Sequence[Frame]) -> _Values:
    order = [frame.header.number("InstanceNumber") for frame in frames]
    interval = beat_interval_s(frames)
    if interval is None or None in order or len(set(order)) < len(order):
        return [None] * len(frames)
    ranked = sorted(number for number in order if number is not None)
    return [None if number is None else ranked.index(number) * interval for number in order]


def beat_interval_s(frames: Sequence[Frame]) -> float | None:
    """Return the nominal time between two images of a slice [s], where the header tells one."""
    for keyword in ("RRIntervalTimeNominal", "NominalInterval"):
        values = [_milliseconds(frame.header.number(keyword)) for frame in frames]
        plausible = [value for value in values if value is not None and _is_step(value)]
        if plausible:
            return median(plausible)
    rate = frames[0].header.number("HeartRate")
    if rate and _is_step(60.0 / rate):
        return 60.0 / rate
    repetition = _milliseconds(frames[0].header.number("RepetitionTime"))
    return repetition if repetition is not None and _is_step(repetition) else None


def _is_step(seconds: float) -> bool:
    return SHORTEST_STEP_S <= seconds <= LONGEST_STEP_S


def _delay_in_beat_s(frames: Sequence[Frame]) -> float:
    """Return when in the beat a slice is imaged [s]; 0 where that is not told.

    A trigger time that changes from beat to beat is cumulative and tells no delay.
    """
    delays = [
        frame.header.number("NominalCardiacTriggerDelayTime", "TriggerTime") for frame in frames
    ]
    known = [delay * 1e-3 for delay in delays if delay is not None]
    if len(known) < len(delays) or max(known) - min(known) > _LARGEST_SPREAD_S:
        return 0.0
    return median(known)


def _milliseconds(value: float | None) -> float | None:
    return None if value is None else value * 1e-3


_ACQUISITION_TIME = TimeKey(
    name="AcquisitionTime", absolute=True, measured=True, seconds=_acquisition_time
)
TIME_KEYS = (
    TimeKey(
        name="FrameAcquisitionDateTime", absolute=True, measured=True, seconds=_frame_date_time
    ),
    _ACQUISITION_TIME,
    TimeKey(
        name="AcquisitionDateTime", absolute=True, measured=True, seconds=_acquisition_date_time
    ),
    TimeKey(
        name="TemporalPositionTimeOffset",
        absolute=False,
        measured=True,
        seconds=_offset_of_position,
    ),
    TimeKey(
        name="Siemens' private time after start",
        absolute=False,
        measured=True,
        seconds=_time_after_start,
    ),
    TimeKey(
        name="Philips' private dynamic scan begin time",
        absolute=False,
        measured=True,
        seconds=_dynamic_begin,
    ),
    TimeKey(name="TriggerTime", absolute=False, measured=True, seconds=_trigger_time),
    TimeKey(
        name="temporal position times the RR interval",
        absolute=False,
        measured=False,
        seconds=_positions_times_interval,
    ),
    TimeKey(
        name="NominalInterval, summed up",
        absolute=False,
        measured=False,
        seconds=_cumulative_intervals,
    ),
    TimeKey(
        name="InstanceNumber times the interval between images",
        absolute=False,
        measured=False,
        seconds=_instance_numbers_times_repetition,
    ),
)
"""In order of preference."""
