"""Philips' private attributes."""

from node.dicom_read.header import Header

_IMAGING = "Philips Imaging DD 001"
_MR_IMAGING = "Philips MR Imaging DD 001"


def scale_slope(header: Header) -> float | None:
    """Return SS of FP = DV / (RS SS), which makes values of different series comparable.

    DV is the displayed value and RS the rescale slope; only FP is proportional to the signal with
    the same factor in all series of an examination.
    """
    value = header.private_number(0x2005, _MR_IMAGING, 0x0E)
    return value if value is not None and value > 0 else None


def dynamic_begin_s(header: Header) -> float | None:
    """Return when the dynamic scan of an image began, after the start of the series [s]."""
    return header.private_number(0x2005, _MR_IMAGING, 0xA0)


def prepulse_delay_ms(header: Header) -> float | None:
    """Return the time from the saturation prepulse to the centre of k-space [ms]."""
    for element in (0x1B, 0x84):
        value = header.private_number(0x2001, _IMAGING, element)
        if value is not None and value > 0:
            return value
    return None


def has_saturation_prepulse(header: Header) -> bool:
    """Whether a saturation prepulse was played."""
    return "SAT" in str(header.private(0x2001, _IMAGING, 0x1C) or "").upper()


def repetition_time_ms(header: Header) -> float | None:
    """Return the time between two readout pulses [ms]."""
    return header.private_number(0x2005, _MR_IMAGING, 0x30)


def scanning_technique(header: Header) -> str:
    """Return the name of the sequence, such as T1TFE or B-TFE; empty where there is none."""
    return str(header.private(0x2001, _IMAGING, 0x20) or "")
