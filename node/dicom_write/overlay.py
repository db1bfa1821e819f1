"""What Segmentation and Parametric Map share: they lie on the reference series."""

from collections.abc import Sequence
from typing import TypedDict

from pydicom.dataset import Dataset

from node.dicom_write import codes
from node.dicom_write.derived_mr import source_reference
from node.dicom_write.provenance import PRODUCT, Provenance, finish
from node.dicom_write.stacks import Stack
from node.dicom_write.text import content_label


class FrameContent(TypedDict):
    """Arguments that highdicom's constructors have in common."""

    content_label: str
    series_instance_uid: str
    series_number: int
    sop_instance_uid: str
    instance_number: int
    manufacturer: str
    manufacturer_model_name: str
    software_versions: str
    device_serial_number: str
    specific_character_set: None


def frame_content(
    provenance: Provenance, *, series: tuple[object, ...], series_number: int, label: str
) -> FrameContent:
    """Identify an overlay; its character set is set with the patient's name, at the end."""
    return FrameContent(
        content_label=content_label(label),
        series_instance_uid=provenance.uids.uid(*series),
        series_number=series_number,
        sop_instance_uid=provenance.uids.uid(*series, 1),
        instance_number=1,
        manufacturer=PRODUCT,
        manufacturer_model_name=PRODUCT,
        software_versions=provenance.version,
        device_serial_number=PRODUCT,
        specific_character_set=None,
    )


def without_patient(reference: Sequence[Dataset]) -> list[Dataset]:
    """Hide the patient from the library, which writes names that it doubts into its log.

    Name and identifier are copied from the source at the end, as they came.
    """
    hidden = []
    for one in reference:
        dataset = Dataset()
        dataset.update(one)
        dataset.file_meta = one.file_meta
        dataset.add_new("PatientName", "PN", "")
        dataset.add_new("PatientID", "LO", "")
        hidden.append(dataset)
    return hidden


def finish_overlay(
    dataset: Dataset, provenance: Provenance, stack: Stack, series_description: str
) -> None:
    """Close the gaps that the library leaves and make the object repeatable.

    The library draws the Dimension Organization UID at random, leaves out Frame Anatomy for
    parametric maps and knows only the reference series as source; the scanner's frame is added.
    """
    finish(dataset, provenance, series_description)
    dataset.PositionReferenceIndicator = ""
    dataset.ContentCreatorName = ""  # type 2 in the editions that older tools know
    organization = provenance.uids.uid("dimensions", dataset.SOPInstanceUID)
    for item in (*dataset.DimensionOrganizationSequence, *dataset.DimensionIndexSequence):
        item.DimensionOrganizationUID = organization
    _add_original_sources(dataset, stack)


def add_frame_anatomy(dataset: Dataset) -> None:
    """Say that every frame shows the heart (Frame Anatomy macro, PS3.3 C.7.6.16.2.8)."""
    anatomy = Dataset()
    anatomy.FrameLaterality = "U"
    anatomy.AnatomicRegionSequence = [codes.item(codes.HEART)]
    dataset.SharedFunctionalGroupsSequence[0].FrameAnatomySequence = [anatomy]


def _add_original_sources(dataset: Dataset, stack: Stack) -> None:
    """Name, in each frame, the scanner's frame beside the reference image."""
    by_position = {
        tuple(f"{value:.6f}" for value in plane.geometry.position_mm): (plane, source)
        for plane, source in zip(stack.planes, stack.sources, strict=True)
    }
    per_series: dict[str, dict[str, str]] = {}
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        position = frame.PlanePositionSequence[0].ImagePositionPatient
        plane, source = by_position[tuple(f"{float(value):.6f}" for value in position)]
        for original in plane.sources:
            frame.DerivationImageSequence[0].SourceImageSequence.append(source_reference(original))
            instances = per_series.setdefault(source.series_instance_uid, {})
            instances[original.sop_instance_uid] = original.sop_class_uid
    for series, instances in per_series.items():
        dataset.ReferencedSeriesSequence.append(_series_reference(series, instances))


def _series_reference(series_uid: str, instances: dict[str, str]) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = series_uid
    item.ReferencedInstanceSequence = []
    for instance_uid, class_uid in sorted(instances.items()):
        reference = Dataset()
        reference.ReferencedSOPClassUID = class_uid
        reference.ReferencedSOPInstanceUID = instance_uid
        item.ReferencedInstanceSequence.append(reference)
    return item
