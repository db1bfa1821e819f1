"""What the writer needs from the reader: structural types, so that neither imports the other."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from pydicom.dataset import Dataset

from pipeline.study import PerfusionStudy


class FrameSource(Protocol):
    """One frame of one instance, as it came."""

    @property
    def path(self) -> Path: ...  # noqa: D102  the field's name says it
    @property
    def sop_class_uid(self) -> str: ...  # noqa: D102  as above
    @property
    def sop_instance_uid(self) -> str: ...  # noqa: D102  as above
    @property
    def frame_number(self) -> int | None:
        """From 1 in a multi-frame instance; None in a single-frame one."""


class SliceSource(Protocol):
    """Where one slice of a first pass came from."""

    @property
    def frames(self) -> Sequence[FrameSource]:
        """In the order of the slice's frames."""

    @property
    def proton_density(self) -> Sequence[FrameSource]:
        """Of the proton-density weighted frames taken before the bolus."""

    @property
    def series_instance_uid(self) -> str: ...  # noqa: D102  as above
    @property
    def frame_of_reference_uid(self) -> str | None: ...  # noqa: D102  as above

    def header(self, frame: int = 0) -> Dataset:
        """Read the header of a frame's instance, without pixels."""


class FirstPassSource(Protocol):
    """Where one first pass came from."""

    @property
    def slices(self) -> Sequence[SliceSource]:
        """In the order of the first pass's slices."""

    @property
    def input_series(self) -> SliceSource | None: ...  # noqa: D102  as above


class SetAside(Protocol):
    """Something that was left alone."""

    @property
    def what(self) -> str: ...  # noqa: D102  as above
    @property
    def reason(self) -> str: ...  # noqa: D102  as above


class ReadStudy(Protocol):
    """A study as read: what is analysed, and where each frame came from."""

    @property
    def study(self) -> PerfusionStudy: ...  # noqa: D102  as above
    @property
    def sources(self) -> Sequence[FirstPassSource]:
        """Per first pass of the study."""

    @property
    def set_aside(self) -> Sequence[SetAside]:
        """What was not part of a first pass, and why."""
