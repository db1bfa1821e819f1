"""DICOM files to a `PerfusionStudy`, with sources and with reasons for what was left alone."""

from node.dicom_read.reader import read_study
from node.dicom_read.sources import (
    FirstPassSource,
    FrameSource,
    NoPerfusionError,
    NotShortAxisError,
    PixelDataError,
    ReadStudy,
    SetAside,
    SeveralPatientsError,
    SliceSource,
    TooFewFramesError,
    UnknownPhysicsError,
)

__all__ = [
    "FirstPassSource",
    "FrameSource",
    "NoPerfusionError",
    "NotShortAxisError",
    "PixelDataError",
    "ReadStudy",
    "SetAside",
    "SeveralPatientsError",
    "SliceSource",
    "TooFewFramesError",
    "UnknownPhysicsError",
    "read_study",
]
