"""Heart rate and blood pressure during a first pass, and where they were read."""

from collections.abc import Sequence
from statistics import median

import numpy as np

from node.dicom_read.frames import Frame
from node.dicom_read.header import Header
from pipeline.study import FloatArray

_PLAUSIBLE_BPM = (30.0, 200.0)
_PLAUSIBLE_MMHG = (50.0, 260.0)
_SYSTOLIC = frozenset(
    {("271649006", "SCT"), ("F-008EC", "SRT"), ("8480-6", "LN"), ("314440001", "SCT")}
)
"""Systolic blood pressure in the codes that CID 3611 and its like give it."""
_RR_MS = ("RRIntervalTimeNominal", "NominalInterval")


def heart_rate_bpm(
    frames: Sequence[Frame], seconds: FloatArray, *, measured: bool
) -> tuple[float, str] | None:
    """Return the heart rate [1/min] and its origin in words; None where nothing tells.

    RR intervals of all images go before one HeartRate of the series; the interval between images
    is the last resort, for it may be two beats.
    """
    for keyword in _RR_MS:
        intervals = [frame.header.number(keyword) for frame in frames]
        rates = [60e3 / value for value in intervals if value is not None and value > 0]
        plausible = [rate for rate in rates if _is_plausible(rate)]
        if plausible:
            return median(plausible), keyword
    rates = [rate for f in frames if (rate := f.header.number("HeartRate")) is not None]
    plausible = [rate for rate in rates if _is_plausible(rate)]
    if plausible:
        return median(plausible), "HeartRate"
    if measured:
        rate = 60.0 / float(np.median(np.diff(seconds)))
        if 40.0 <= rate <= _PLAUSIBLE_BPM[1]:
            return rate, "the interval between images, if they are one beat apart"
    return None


def systolic_pressure_mmhg(header: Header) -> float | None:
    """Return the systolic pressure of the acquisition context (PS3.3 C.7.6.14), if it is in mmHg.

    DICOM has no attribute for it beside that sequence, and few scanners fill it in.
    """
    low, high = _PLAUSIBLE_MMHG
    for item in header.items("AcquisitionContextSequence"):
        names = {
            (name.text("CodeValue"), name.text("CodingSchemeDesignator"))
            for name in item.items("ConceptNameCodeSequence")
        }
        units = {unit.text("CodeValue") for unit in item.items("MeasurementUnitsCodeSequence")}
        value = item.number("NumericValue")
        if names & _SYSTOLIC and units <= {"mm[Hg]"} and value is not None and low <= value <= high:
            return value
    return None


def _is_plausible(rate: float) -> bool:
    return _PLAUSIBLE_BPM[0] <= rate <= _PLAUSIBLE_BPM[1]
