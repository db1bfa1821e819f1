"""What came back from the PACS, for a person: the table of the report, and its pictures."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import matplotlib.image
from pydicom import Dataset
from pydicom.uid import (
    ComprehensiveSRStorage,
    MRImageStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

EXPECTED: Final = {
    "a measurement report": ComprehensiveSRStorage,
    "derived MR images": MRImageStorage,
    "Parametric Maps": ParametricMapStorage,
    "pictures": SecondaryCaptureImageStorage,
    "Segmentations": SegmentationStorage,
}

_TRACKING_IDENTIFIER: Final = "112039"  # DCM, PS3.16
_SEGMENT = re.compile(r"(?P<quantity>MBF (?:rest|stress)|MPR) AHA (?P<segment>\d+ .+)")


def missing_objects(results: Sequence[Dataset]) -> list[str]:
    """Name the kinds of object of which the PACS has none."""
    present = {dataset.SOPClassUID for dataset in results}
    missing = [name for name, sop_class in EXPECTED.items() if sop_class not in present]
    measured = {quantity for quantity, _, _ in _measurements(results)}
    return missing + sorted({"MBF rest", "MBF stress", "MPR"} - measured)


def report_table(results: Sequence[Dataset]) -> list[str]:
    """Table of MBF and reserve of each AHA segment, as the report in the PACS has it."""
    columns = ("MBF rest", "MBF stress", "MPR")
    rows: dict[str, dict[str, float]] = {}
    for quantity, segment, value in _measurements(results):
        rows.setdefault(segment, {})[quantity] = value
    lines = [f"{'AHA segment':26}" + "".join(f"{name:>12}" for name in columns)]
    lines += [
        f"{segment:26}" + "".join(_cell(values.get(name)) for name in columns)
        for segment, values in sorted(rows.items())
    ]
    return [*lines, "MBF in mL/min/g"]


def write_pictures(results: Sequence[Dataset], folder: Path) -> list[Path]:
    """Write every Secondary Capture page as PNG, in the order of their instance numbers."""
    pages = [one for one in results if one.SOPClassUID == SecondaryCaptureImageStorage]
    files = []
    for number, page in enumerate(sorted(pages, key=lambda one: one.InstanceNumber), start=1):
        files.append(folder / f"page-{number:02d}.png")
        matplotlib.image.imsave(files[-1], page.pixel_array)
    return files


def _measurements(results: Sequence[Dataset]) -> Iterator[tuple[str, str, float]]:
    """Quantity, segment and first number of each measurement group about an AHA segment."""
    for report in results:
        if report.SOPClassUID == ComprehensiveSRStorage:
            for group in _containers(report):
                identifier = _text(group, _TRACKING_IDENTIFIER)
                found = _SEGMENT.fullmatch(identifier)
                value = _first_number(group)
                if found and value is not None:
                    yield found["quantity"], found["segment"], value


def _containers(item: Dataset) -> Iterator[Dataset]:
    for child in item.get("ContentSequence", []):
        if child.ValueType == "CONTAINER":
            yield child
            yield from _containers(child)


def _text(group: Dataset, concept: str) -> str:
    for child in group.get("ContentSequence", []):
        if child.ValueType == "TEXT" and child.ConceptNameCodeSequence[0].CodeValue == concept:
            return str(child.TextValue)
    return ""


def _first_number(group: Dataset) -> float | None:
    for child in group.get("ContentSequence", []):
        if child.ValueType == "NUM" and child.get("MeasuredValueSequence"):
            return float(child.MeasuredValueSequence[0].NumericValue)
    return None


def _cell(value: float | None) -> str:
    return f"{'-':>12}" if value is None else f"{value:12.2f}"
