"""What reading gives beside the arrays: where every frame came from, and what was left alone."""

from dataclasses import dataclass, field
from pathlib import Path

from pydicom import Dataset

from node.dicom_read.header import tolerant_reading
from node.dicom_read.parsing import parse
from node.errors import NothingToAnalyseError
from pipeline.study import PerfusionStudy


@dataclass(frozen=True, kw_only=True, slots=True)
class FrameSource:
    """One frame of one instance."""

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    frame_number: int | None
    """From 1 in a multi-frame instance; None: the instance is one frame."""


@dataclass(frozen=True, kw_only=True)
class SliceSource:
    """Where the frames of one `PerfusionSlice` came from, in the same order."""

    frames: tuple[FrameSource, ...]
    series_instance_uid: str
    """Of the first frame; a slice may have been split over several series."""
    frame_of_reference_uid: str | None
    proton_density: tuple[FrameSource, ...] = ()

    def header(self, frame: int = 0) -> Dataset:
        """Read the instance of `frame` again, without its pixel data."""
        with tolerant_reading():
            dataset = parse(self.frames[frame].path)
            for keyword in ("PixelData", "FloatPixelData", "DoubleFloatPixelData"):
                if keyword in dataset:
                    del dataset[keyword]
            return dataset


@dataclass(frozen=True, kw_only=True)
class FirstPassSource:
    """Where one `FirstPass` came from."""

    slices: tuple[SliceSource, ...]
    time_key: str
    """Which header value the times are, in words."""
    input_series: SliceSource | None = None


@dataclass(frozen=True, kw_only=True)
class SetAside:
    """Something that was left alone, and why."""

    what: str
    """``series 7`` or ``file notes.txt``."""
    reason: str
    files: tuple[Path, ...] = field(repr=False)


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadStudy:
    """A study as arrays, with its sources in the same order."""

    study: PerfusionStudy
    sources: tuple[FirstPassSource, ...]
    set_aside: tuple[SetAside, ...]


class NoPerfusionError(NothingToAnalyseError):
    """No series can be analysed; the message lists what was looked at and why it was left alone."""

    def __init__(self, summary: str, set_aside: tuple[SetAside, ...]) -> None:
        lines = [summary, *(f"  {item.what}: {item.reason}" for item in set_aside)]
        super().__init__("\n".join(lines))
        self.set_aside = set_aside


class SeveralPatientsError(NoPerfusionError):
    """The perfusion images belong to more than one patient."""


class NotShortAxisError(NoPerfusionError):
    """The perfusion images were found, but none is a short-axis slice."""


class TooFewFramesError(NoPerfusionError):
    """Perfusion images were found, but too few to contain a first pass."""


class UnknownPhysicsError(NoPerfusionError):
    """The perfusion images were found, but the method has no constants for the scanner."""


class PixelDataError(NoPerfusionError):
    """The perfusion images were found, but their pixel data cannot be read."""
