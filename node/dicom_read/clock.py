"""Dates and times of the header as seconds."""

from collections.abc import Sequence
from datetime import date

from node.dicom_read.header import Header

_DAY_S = 86400.0
_FIRST_DAY = date(2000, 1, 1).toordinal()  # near: the float keeps a tenth of a microsecond


def clock_seconds(date_text: str, time_text: str) -> float | None:
    """Read DA and TM values (PS3.5 6.2) as seconds since the year 2000."""
    digits = time_text.replace(":", "").strip()
    whole, _, fraction = digits.partition(".")
    if not whole.isdigit() or len(whole) not in (2, 4, 6) or (fraction and not fraction.isdigit()):
        return None
    padded = whole.ljust(6, "0")
    seconds = int(padded[:2]) * 3600.0 + int(padded[2:4]) * 60.0 + int(padded[4:])
    return _day(date_text) * _DAY_S + seconds + float(f"0.{fraction or 0}")


def _day(date_text: str) -> int:
    """Return the days of a DA value since the year 2000; 0 where it is none."""
    digits = date_text.replace(".", "").strip()
    try:
        day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return 0
    return day.toordinal() - _FIRST_DAY


def date_time_seconds(text: str) -> float | None:
    """Read a DT value (PS3.5 6.2) as seconds; its offset from UTC is the same for all frames."""
    local = text.strip().split("+")[0].split("-")[0]
    return clock_seconds(local[:8], local[8:]) if len(local) > 8 else None


def start_seconds(header: Header) -> float | None:
    """Return roughly when an image was taken, for telling one first pass from another [s]."""
    moment = date_time_seconds(header.text("AcquisitionDateTime"))
    if moment is not None:
        return moment
    for kind in ("Acquisition", "Series", "Content"):
        day = header.text(f"{kind}Date") or header.text("StudyDate")
        moment = clock_seconds(day, header.text(f"{kind}Time"))
        if moment is not None:
            return moment
    return None


def over_midnight(values: Sequence[float | None]) -> list[float | None]:
    """Add a day after midnight where the date did not follow the clock."""
    known = [value for value in values if value is not None]
    if not known or max(known) - min(known) < _DAY_S / 2:
        return list(values)
    noon = min(known) + _DAY_S / 2
    return [value + _DAY_S if value is not None and value < noon else value for value in values]
