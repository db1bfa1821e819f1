"""Siemens' private headers: CSA (VA to VE) and the attributes that came after it (XA)."""

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from node.dicom_read.header import Header

_ELEMENT_HEADER = struct.Struct("<64si4siii")
_ITEM_HEADER = struct.Struct("<4i")
_MOST_ELEMENTS = 1000
_FEWEST_LINES = 16
_PLAUSIBLE_SPACING_MS = (1.0, 8.0)


@dataclass(frozen=True, kw_only=True)
class Train:
    """The readout after one saturation pulse."""

    echo_spacing_ms: float | None
    """Between two readout pulses; None: not told."""
    pulses_before_centre: int


def time_after_start_s(header: Header) -> float | None:
    """Return the time of an image after the start of its measurement [s]."""
    value = header.private_number(0x0019, "SIEMENS MR HEADER", 0x16)
    if value is None:
        value = header.private_number(0x0021, "SIEMENS MR SDI 02", 0x04)
    if value is None:
        value = _number(_image_values(header).get("TimeAfterStart"))
    return value


def readout_train(header: Header, saturation_time_ms: float | None) -> Train | None:
    """Derive the readout from the duration of a slice, where the private header has it.

    A slice lasts from saturation to the last echo, and the saturation time goes to the centre of
    k-space: what lies between is (lines - centre) echo spacings. RepetitionTime is no help: it is
    the time between slices.
    """
    values = _image_values(header)
    lines, centre = _number(values.get("MeasuredFourierLines")), None
    if lines:
        centre = _number(values.get("EchoLinePosition"))
    else:
        lines = _protocol_number(header, "sFastImaging.lTurboFactor")
    if not lines or lines < _FEWEST_LINES:
        return None
    centre = centre if centre is not None and 0 <= centre < lines else float(int(lines / 2))
    duration_ms = header.private_number(0x0019, "SIEMENS MR HEADER", 0x0B)
    if duration_ms is None:
        duration_ms = _number(values.get("SliceMeasurementDuration"))
    spacing = None
    if duration_ms is not None and saturation_time_ms is not None:
        spacing = (duration_ms - saturation_time_ms) / (lines - centre)
        low, high = _PLAUSIBLE_SPACING_MS
        spacing = spacing if low <= spacing <= high else None
    return Train(echo_spacing_ms=spacing, pulses_before_centre=int(centre))


def _image_values(header: Header) -> Mapping[str, str]:
    value = header.private(0x0029, "SIEMENS CSA HEADER", 0x10)
    return csa_values(value) if isinstance(value, bytes) else {}


def csa_values(data: bytes) -> dict[str, str]:
    """Read the first item of every element of a CSA header of version SV10; empty if it is none."""
    if data[:4] != b"SV10" or len(data) < 16:
        return {}
    values: dict[str, str] = {}
    (count,) = struct.unpack_from("<I", data, 8)
    offset = 16
    try:
        for _ in range(min(count, _MOST_ELEMENTS)):
            name, _, _, _, items, _ = _ELEMENT_HEADER.unpack_from(data, offset)
            offset += _ELEMENT_HEADER.size
            for index in range(min(max(items, 0), _MOST_ELEMENTS)):
                _, length, _, _ = _ITEM_HEADER.unpack_from(data, offset)
                offset += _ITEM_HEADER.size
                if index == 0:
                    values[_text(name)] = _text(data[offset : offset + max(length, 0)])
                offset += (max(length, 0) + 3) // 4 * 4
    except struct.error:  # cut off: what was read until here is whole
        return values
    return values


def _protocol_number(header: Header, name: str) -> float | None:
    """Look a number up in the protocol text of the series header."""
    data = header.private(0x0029, "SIEMENS CSA HEADER", 0x20)
    if not isinstance(data, bytes):
        return None
    match = re.search(rb"(?m)^%s\s*=\s*([-\d.]+)" % re.escape(name.encode()), data)
    return _number(match.group(1).decode()) if match else None


def _text(data: bytes) -> str:
    return data.split(b"\0")[0].decode("latin-1").strip()


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
