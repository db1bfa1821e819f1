"""The pixel data of one slice over time, and what is found out while it is read."""

from collections.abc import Callable, Sequence

import numpy as np

from node.config import Analysis
from node.dicom_read.frames import Frame
from node.dicom_read.instances import Aside
from node.dicom_read.passes import are_enough
from node.dicom_read.physics import proton_density_readout
from node.dicom_read.pixels import bright_start, read_signal
from node.dicom_read.sources import PixelDataError, SliceSource
from node.dicom_read.tracks import Track
from pipeline.study import PerfusionSlice, Readout, SecondEcho


class SliceReader:
    """Reads slices; what cannot be decoded is set aside, what is doubtful is noted."""

    def __init__(self, config: Analysis, aside: Aside, note: Callable[[str], None]) -> None:
        self._config = config
        self._aside = aside
        self._note = note

    def read(self, track: Track, readout: Readout) -> tuple[PerfusionSlice, SliceSource] | None:
        """Read one slice; None where too few of its frames can be used, which are set aside.

        The times are those of `track`.
        """
        good, images = self._readable(track.frames)
        leading = bright_start(images)
        unsaturated = track.proton_density
        known = proton_density_readout(track.first.header, readout, self._config) is not None
        if leading and not unsaturated and known:
            unsaturated = tuple(track.frames[i] for i in good[:leading])
        elif leading:
            self._note(
                f"The first {leading} images of a slice are much brighter than the next, as "
                "without saturation, though no header says so; they were left out."
            )
        good, images = good[leading:], images[leading:]
        frames = [track.frames[i] for i in good]
        if not are_enough(frames, self._aside):
            return None
        density, density_frames, density_readout = self._proton_density(unsaturated, readout)
        if max(_distance_mm(frame, frames[0]) for frame in frames) > 0.01:
            self._note(
                "The place of a slice changes by up to 0.5 mm; that of its first image is used."
            )
        image_slice = PerfusionSlice(
            frames=np.stack(images),
            time_s=track.seconds[good],
            geometry=frames[0].geometry,
            proton_density=density,
            proton_density_readout=density_readout,
        )
        source = SliceSource(
            frames=tuple(frame.source for frame in frames),
            series_instance_uid=frames[0].series_uid,
            frame_of_reference_uid=frames[0].header.text("FrameOfReferenceUID") or None,
            proton_density=tuple(frame.source for frame in density_frames),
        )
        return image_slice, source

    def second_echo(self, track: Track, source: SliceSource) -> SecondEcho | None:
        """Read the second echo of the frames that were read, where all of them have one."""
        frames = {frame.source: frame for frame in track.frames}
        late = [frames[one].second_echo for one in source.frames]
        found = [frame for frame in late if frame is not None]
        if not found or len(found) < len(late):
            return None
        echo_time_ms = found[0].echo_time_ms
        good, images = self._readable(found)
        if len(good) < len(found) or echo_time_ms is None:
            return None
        self._note(
            f"A second echo at {echo_time_ms:g} ms tells T2* of the blood in the series for the "
            "input function."
        )
        return SecondEcho(frames=np.stack(images), echo_time_s=echo_time_ms * 1e-3)

    def _readable(self, frames: Sequence[Frame]) -> tuple[list[int], list[np.ndarray]]:
        """Decode frames; return the indices that can be, and their images."""
        signal = read_signal(frames)
        bad = [frames[i].source.path for i, image in enumerate(signal) if image is None]
        if bad:
            reason = "its pixel data cannot be decoded"
            self._aside.add(frames[0].series, reason, bad, PixelDataError)
        good = [index for index, image in enumerate(signal) if image is not None]
        return good, [image for image in signal if image is not None]

    def _proton_density(
        self, frames: Sequence[Frame], readout: Readout
    ) -> tuple[np.ndarray | None, list[Frame], Readout | None]:
        """Read the proton-density frames where their readout is known."""
        if not frames:
            return None, [], None
        density = proton_density_readout(frames[0].header, readout, self._config)
        if density is None:
            self._note(
                "There are proton-density images, but neither header nor configuration gives their "
                "own flip angle, so they were not used."
            )
            return None, [], None
        good, images = self._readable(frames)
        if not good:
            return None, [], None
        self._note(f"{len(good)} proton-density images of each slice are used.")
        return np.stack(images), [frames[i] for i in good], density


def _distance_mm(one: Frame, other: Frame) -> float:
    return float(np.abs(np.subtract(one.geometry.position_mm, other.geometry.position_mm)).max())
