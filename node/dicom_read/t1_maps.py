"""Native T1 maps among the other series: which they are, and their values in seconds."""

from collections.abc import Iterable, Sequence

import numpy as np

from node.dicom_read.clock import start_seconds
from node.dicom_read.frames import Frame
from node.dicom_read.header import Header
from node.dicom_read.instances import Aside
from node.dicom_read.passes import Pass
from node.dicom_read.pixels import stored_values
from node.dicom_read.words import find_word, plain
from pipeline.study import FloatArray, T1Map

_TYPES = {"T1 MAP", "T1_MAP", "T1MAP"}
_NAMES = r"t1 ?maps?"
_OTHER = r"ecv|err\w*|error|sd|std|r2|psir|synth\w*|t1 ?rho|goodness|chi\w*"
_WITH_AGENT = r"post\w*|gd|gad\w*|contrast|ce|km|enhanced|p[cr]\d*min"
_DESCRIPTIONS = ("SeriesDescription", "ProtocolName", "ImageComments")
_SECONDS_PER_UNIT = {"ms": 1e-3, "s": 1.0}
_LONGEST_S = 5.0
_MOST_MAPS = 24


def is_t1_map(frame: Frame) -> bool:
    """Whether an image is a map of T1: its type says so, or it is derived and its name does."""
    texts = [plain(frame.header.text(keyword)) for keyword in _DESCRIPTIONS]
    if any(find_word(_OTHER, text) for text in texts):
        return False
    if frame.image_type & _TYPES:
        return True
    return "DERIVED" in frame.image_type and any(find_word(_NAMES, text) for text in texts)


def native_t1_maps(
    frames: Sequence[Frame], passes: Sequence[Pass], aside: Aside
) -> tuple[T1Map, ...]:
    """Return the maps that were taken before any contrast agent; the others are set aside.

    Parameters
    ----------
    frames
        Of T1 maps.
    passes
        All first passes of the examination, dilute ones too.
    """
    found: list[T1Map] = []
    for frame in frames:
        reason = _refusal(frame, passes)
        t1_s = None if reason else _t1_s(frame)
        if t1_s is None:
            aside.add(frame.series, reason or _UNREADABLE, [frame.source.path])
        elif len(found) < _MOST_MAPS:
            found.append(T1Map(t1_s=t1_s, geometry=frame.geometry, name=frame.series))
    return tuple(found)


_UNREADABLE = "it is a T1 map whose values cannot be read as milliseconds or seconds"


def _refusal(frame: Frame, passes: Sequence[Pass]) -> str | None:
    """Say why a T1 map is not native or of another place; None where it can be used."""
    first = passes[0].first
    if frame.header.text("StudyInstanceUID") != first.header.text("StudyInstanceUID"):
        return "it is a T1 map of another examination"
    here, there = (one.header.text("FrameOfReferenceUID") for one in (frame, first))
    if here and there and here != there:
        return "it is a T1 map whose place in the patient is told by other coordinates"
    for keyword in _DESCRIPTIONS:
        if find_word(_WITH_AGENT, plain(frame.header.text(keyword))):
            return f"it is a T1 map with contrast agent ({keyword} says so)"
    taken, starts = start_seconds(frame.header), [one.start_s for one in passes]
    known = [start for start in starts if start is not None]
    if taken is None or len(known) < len(starts):
        return "it is a T1 map, and no clock tells that it was taken before contrast agent"
    if taken >= min(known):
        return "it is a T1 map that was taken after contrast agent was given"
    return None


def _t1_s(frame: Frame) -> FloatArray | None:
    """Read T1 [s]; NaN where there is none. None where the pixels or their unit are unknown."""
    stored = stored_values(frame)
    scale = _scale(frame.header)
    if stored is None or scale is None:
        return None
    slope, intercept = scale
    t1_s = stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    t1_s[(t1_s <= 0) | (t1_s > _LONGEST_S)] = np.nan
    return t1_s


def _scale(header: Header) -> tuple[float, float] | None:
    """Return slope and intercept from stored values to seconds; None for another unit.

    A Real World Value Mapping (PS3.3 C.7.6.16.2.11) names its unit; where there is none, vendors
    store milliseconds, rescaled or not. RescaleType may say so, or say that it says nothing (US).
    """
    for item in (header, *header.items("RealWorldValueMappingSequence")):
        slope, intercept = (
            item.number("RealWorldValueSlope"),
            item.number("RealWorldValueIntercept"),
        )
        if slope is None or intercept is None:
            continue
        units = item.items("MeasurementUnitsCodeSequence")
        return _in_seconds(slope, intercept, (one.text("CodeValue") for one in units))
    slope = header.number("RescaleSlope") or 1.0
    intercept = header.number("RescaleIntercept") or 0.0
    told = header.text("RescaleType").strip().lower()
    return _in_seconds(slope, intercept, ["ms" if told in ("", "us", "normalized") else told])


def _in_seconds(slope: float, intercept: float, units: Iterable[str]) -> tuple[float, float] | None:
    factor = next((_SECONDS_PER_UNIT[one] for one in units if one in _SECONDS_PER_UNIT), None)
    return None if factor is None else (slope * factor, intercept * factor)
