"""The frames of one slice over one first pass, put together from the runs that hold them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from node.dicom_read.frames import Frame
from node.dicom_read.geometry import same_place
from node.dicom_read.instances import Aside
from node.dicom_read.physics import saturation_time_ms
from node.dicom_read.recognise import is_input_series, is_motion_compensated, is_proton_density
from node.dicom_read.runs import Run
from pipeline.study import FloatArray

_SAME_MOMENT_S = 0.1
_ROUNDING_S = 1.0
"""Clocks of whole seconds may differ by so much between series of one acquisition."""
COARSE_GRID = 1.4
"""An input function series has pixels at least so much larger than the others."""
_MOST_PROTON_DENSITY_FRAMES = 5
_LOW_FLIP = 0.7


@dataclass(frozen=True, kw_only=True, eq=False)
class Track:
    """One slice over time."""

    frames: tuple[Frame, ...]
    seconds: FloatArray
    """Strictly rising, the same origin for all tracks of a first pass."""
    proton_density: tuple[Frame, ...] = ()
    motion_compensated: bool = False

    @property
    def first(self) -> Frame:
        """The first frame."""
        return self.frames[0]


def tracks_of(runs: Sequence[Run], aside: Aside) -> list[Track]:
    """Return one track for each slice; copies are set aside, continued series joined."""
    tracks: list[Track] = []
    for track in sorted(_all_tracks(runs), key=_rank):
        index = next((i for i, known in enumerate(tracks) if _same_slice(known, track)), None)
        if index is None:
            tracks.append(track)
        else:
            tracks[index] = _joined(tracks[index], track, aside)
    return tracks


def _all_tracks(runs: Sequence[Run]) -> list[Track]:
    """Return the slices of all runs on one time axis."""
    origin = next((run.offset_s for run in runs if run.offset_s is not None), None)
    tracks = []
    for run in runs:
        shift = 0.0 if origin is None or run.offset_s is None else run.offset_s - origin
        if abs(shift) <= _ROUNDING_S and shift.is_integer():
            shift = 0.0
        for frames, seconds in zip(run.slices, run.seconds, strict=True):
            moved = any(is_motion_compensated(frame) for frame in frames[:1])
            tracks.append(Track(frames=frames, seconds=seconds + shift, motion_compensated=moved))
    return tracks


def _rank(track: Track) -> tuple[bool, bool, float, str]:
    """Order originals before copies."""
    number = track.first.header.number("SeriesNumber")
    return (
        track.motion_compensated,
        "DERIVED" in track.first.image_type,
        number if number is not None else np.inf,
        track.first.source.sop_instance_uid,
    )


def _same_slice(one: Track, other: Track) -> bool:
    """Whether two tracks show the same place with pixels of a similar size."""
    if is_proton_density(one.first) != is_proton_density(other.first):
        return False
    if is_input_series(one.first) != is_input_series(other.first):
        return False
    ratio = pixel_mm(one) / pixel_mm(other)
    return same_place(one.first, other.first) and 1 / COARSE_GRID < ratio < COARSE_GRID


def pixel_mm(track: Track) -> float:
    """Return the size of a pixel [mm]."""
    return float(np.sqrt(np.prod(track.first.geometry.spacing_mm)))


def _joined(known: Track, other: Track, aside: Aside) -> Track:
    """Add the frames of another series of the same slice, or set them aside as a copy."""
    apart = np.abs(other.seconds[:, np.newaxis] - known.seconds).min(axis=1)
    new = [i for i in range(len(other.frames)) if apart[i] > _SAME_MOMENT_S]
    grid = (known.first.rows, known.first.columns, known.first.geometry.spacing_mm)
    other_grid = (other.first.rows, other.first.columns, other.first.geometry.spacing_mm)
    moved = other.motion_compensated and not known.motion_compensated
    if moved or grid != other_grid or 2 * len(new) < len(other.frames):
        copy = "the scanner's motion-compensated copy" if moved else "a copy"
        reason = f"it is {copy} of {known.first.series}, which is used"
        aside.add(other.first.series, reason, {f.source.path for f in other.frames})
        return known
    seconds = np.concatenate([known.seconds, other.seconds[new]])
    frames = [*known.frames, *(other.frames[i] for i in new)]
    order = np.argsort(seconds, kind="stable")
    return replace(known, frames=tuple(frames[i] for i in order), seconds=seconds[order])


def with_proton_density(tracks: Sequence[Track], aside: Aside) -> list[Track]:
    """Part proton-density frames from the dynamic ones: leading frames or series of their own."""
    separate = [track for track in tracks if is_proton_density(track.first)]
    separate = [track for track in separate if all(is_proton_density(f) for f in track.frames)]
    dynamic = [_parted(track) for track in tracks if track not in separate]
    for images in separate:
        place = [i for i, t in enumerate(dynamic) if _same_grid(t.first, images.first)]
        if place:
            index = place[0]
            both = (*dynamic[index].proton_density, *images.frames)
            dynamic[index] = replace(dynamic[index], proton_density=both)
        else:
            reason = "it is proton-density weighted, and no dynamic slice lies in the same place"
            aside.add(images.first.series, reason, {f.source.path for f in images.frames})
    return dynamic


def _same_grid(one: Frame, other: Frame) -> bool:
    return same_place(one, other) and (one.rows, one.columns) == (other.rows, other.columns)


def _is_saturated(frame: Frame) -> bool:
    return saturation_time_ms(frame.header)[0] is not None


def _parted(track: Track) -> Track:
    """Part leading frames whose header says that they are proton-density weighted.

    By a word, a lower flip angle, or no time since saturation where the last frame has one.
    """
    saturated = _is_saturated(track.frames[-1])
    flips = [frame.header.number("FlipAngle") for frame in track.frames]
    usual = float(np.median([flip for flip in flips if flip is not None] or [0.0]))
    count = 0
    for frame, flip in zip(track.frames, flips, strict=True):
        lower = flip is not None and flip < _LOW_FLIP * usual
        unsaturated = saturated and not _is_saturated(frame)
        if not (lower or unsaturated or is_proton_density(frame)):
            break
        count += 1
    if not 0 < count <= _MOST_PROTON_DENSITY_FRAMES:
        return track
    return replace(
        track,
        frames=track.frames[count:],
        seconds=track.seconds[count:],
        proton_density=track.frames[:count],
    )
