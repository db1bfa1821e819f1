"""Runs to first passes: what was acquired together belongs together."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from node.dicom_read.frames import Frame
from node.dicom_read.geometry import base_to_apex, centre_mm, same_slice
from node.dicom_read.header import Header
from node.dicom_read.instances import Aside
from node.dicom_read.recognise import is_input_series, is_motion_compensated
from node.dicom_read.runs import Run
from node.dicom_read.sources import TooFewFramesError
from node.dicom_read.tracks import COARSE_GRID, Track, pixel_mm, tracks_of, with_proton_density

FEWEST_FRAMES = 20
_ENOUGH_ALONE = 40
"""Series with so many frames are first passes of their own, however soon one follows the other."""
_SHARE_OF_OVERLAP = 0.5
_LONGEST_INTERRUPTION_S = 30.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Pass:
    """The frames of one first pass, slices from base to apex."""

    slices: tuple[Track, ...]
    """Times since the first frame of all slices."""
    input_track: Track | None
    """The low-resolution series for the input function, on the same time axis."""
    start_s: float | None
    """On the clock."""
    time_key: str
    measured: bool
    coarse: bool

    @property
    def first(self) -> Frame:
        """Any frame, for what is the same in all."""
        return self.slices[0].first

    @property
    def headers(self) -> tuple[Header, ...]:
        """One of each series."""
        frames = {frame.series_uid: frame for track in self.slices for frame in track.frames}
        return tuple(frames[uid].header for uid in sorted(frames))


def find_passes(runs: Sequence[Run], aside: Aside) -> list[Pass]:
    """Join runs to first passes, in the order of their acquisition."""
    groups: list[list[Run]] = []
    for run in sorted(runs, key=_order):
        together = [group for group in groups if any(_together(run, member) for member in group)]
        groups = [group for group in groups if group not in together]
        groups.append([*(member for group in together for member in group), run])
    passes = [found for group in groups if (found := _join(group, aside)) is not None]
    return sorted(passes, key=lambda found: (found.start_s is None, found.start_s or 0.0))


def _order(run: Run) -> tuple[float, str]:
    span = run.span_s
    return (0.0 if span is None else span[0], run.first.source.sop_instance_uid)


def _together(one: Run, other: Run) -> bool:
    """Whether two runs were acquired at the same time, or one went on after an interruption."""
    if one.study_uid != other.study_uid:
        return False
    if one.span_s is None or other.span_s is None:
        return is_motion_compensated(one.first) != is_motion_compensated(other.first) or not (
            _shares_slice(one, other)
        )
    (start, stop), (other_start, other_stop) = one.span_s, other.span_s
    overlap = min(stop, other_stop) - max(start, other_start)
    shorter = min(stop - start, other_stop - other_start)
    if overlap > 0:
        return overlap >= _SHARE_OF_OVERLAP * shorter
    if -overlap > _LONGEST_INTERRUPTION_S or not _shares_slice(one, other):
        return False
    return min(one.most_frames, other.most_frames) < _ENOUGH_ALONE


def _shares_slice(one: Run, other: Run) -> bool:
    return any(same_slice(a[0], b[0]) for a in one.slices for b in other.slices)


def _join(runs: Sequence[Run], aside: Aside) -> Pass | None:
    """Join the slices of runs; None where too few frames are left."""
    tracks = with_proton_density(tracks_of(runs, aside), aside)
    tracks = [track for track in tracks if are_enough(track.frames, aside)]
    if not tracks:
        return None
    inputs = _inputs(tracks)
    slices = [track for track in tracks if track not in inputs]
    slices = [slices[i] for i in base_to_apex([track.first for track in slices])]
    source = _one_input(inputs, slices[0], aside)
    start = min(float(track.seconds[0]) for track in slices)
    dynamic = [run for run in runs if not run.is_proton_density]
    starts = [run.span_s[0] for run in dynamic if run.span_s is not None]
    timings = [run.timing for run in dynamic]
    return Pass(
        slices=tuple(_since(track, start) for track in slices),
        input_track=None if source is None else _since(source, start),
        start_s=min(starts) if starts else None,
        time_key=", ".join(sorted({timing.key.name for timing in timings})),
        measured=all(timing.key.measured for timing in timings),
        coarse=any(timing.coarse for timing in timings),
    )


def _since(track: Track, start: float) -> Track:
    return replace(track, seconds=track.seconds - start)


def are_enough(frames: Sequence[Frame], aside: Aside) -> bool:
    """Whether these frames of a slice are enough for a first pass; else they are set aside."""
    if len(frames) >= FEWEST_FRAMES:
        return True
    if frames:
        reason = (
            f"a slice has {len(frames)} images, too few for a first pass (at least {FEWEST_FRAMES})"
        )
        paths = {frame.source.path for frame in frames}
        aside.add(frames[0].series, reason, paths, TooFewFramesError)
    return False


def _inputs(tracks: Sequence[Track]) -> list[Track]:
    """Return the tracks for the input function: by word, or by much larger pixels."""
    named = [track for track in tracks if is_input_series(track.first)]
    if named and len(named) < len(tracks):
        return named
    finest = min(pixel_mm(track) for track in tracks)
    return [track for track in tracks if pixel_mm(track) >= COARSE_GRID * finest]


def _one_input(inputs: Sequence[Track], base: Track, aside: Aside) -> Track | None:
    """Keep the input series that lies nearest to the basal slice."""
    ranked = sorted(
        inputs,
        key=lambda track: float(((centre_mm(track.first) - centre_mm(base.first)) ** 2).sum()),
    )
    for track in ranked[1:]:
        reason = "another input function slice, nearer to the base, is used"
        aside.add(track.first.series, reason, {frame.source.path for frame in track.frames})
    return ranked[0] if ranked else None
