"""Structured documents (PS3.3 A.35): the frame that all reports share."""

from collections.abc import Sequence

from highdicom.sr import (
    CodeContentItem,
    ContainerContentItem,
    ContentItem,
    ContentSequence,
    TextContentItem,
    UIDRefContentItem,
)
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import UID

from node.dicom_write import codes
from node.dicom_write.provenance import PRODUCT, Provenance, new_object
from node.dicom_write.text import ascii_text

KIND = 0

_LANGUAGE = Code("121049", "DCM", "Language of Content Item and Descendants")
_ENGLISH = Code("en", "RFC5646", "English")
_OBSERVER_TYPE = Code("121005", "DCM", "Observer Type")
_DEVICE = Code("121007", "DCM", "Device")
_DEVICE_UID = Code("121012", "DCM", "Device Observer UID")
_DEVICE_NAME = Code("121013", "DCM", "Device Observer Name")


def text(name: Code, value: str, relationship: str = "CONTAINS") -> ContentItem:
    """Write a text item."""
    return TextContentItem(name=name, value=ascii_text(value), relationship_type=relationship)


def code(name: Code, value: Code, relationship: str = "CONTAINS") -> ContentItem:
    """Write a coded item."""
    return CodeContentItem(name=name, value=value, relationship_type=relationship)


def container(name: Code, items: Sequence[ContentItem]) -> ContentItem:
    """Write a section with what it contains."""
    section = ContainerContentItem(name=name, relationship_type="CONTAINS")
    section.ContentSequence = ContentSequence(items)
    return section


def language() -> ContentItem:
    """Say that the report is in English (TID 1204)."""
    return code(_LANGUAGE, _ENGLISH, "HAS CONCEPT MOD")


def observer(provenance: Provenance) -> list[ContentItem]:
    """Say by which device the report was made (TID 1004)."""
    return [
        code(_OBSERVER_TYPE, _DEVICE, "HAS OBS CONTEXT"),
        UIDRefContentItem(
            name=_DEVICE_UID,
            value=provenance.uids.uid("observer"),
            relationship_type="HAS OBS CONTEXT",
        ),
        text(_DEVICE_NAME, f"{PRODUCT} {provenance.version}", "HAS OBS CONTEXT"),
    ]


def document(
    provenance: Provenance,
    sop_class_uid: UID,
    title: Code,
    items: Sequence[ContentItem],
    *,
    what: str,
    series_description: str,
    evidence: Sequence[Dataset] = (),
    template: str | None = None,
) -> Dataset:
    """Make a report of a title and its items; it names the reports that it replaces.

    Parameters
    ----------
    evidence
        The objects of this study that the items refer to.
    template
        Identifier of the root's template in PS3.16.
    """
    latest = provenance.replacing.latest
    replaced = () if latest is None else latest.reports
    history = [provenance.uids.key_of(sorted(_uids(replaced)))] if replaced else []
    dataset = structured(
        provenance,
        sop_class_uid,
        title,
        items,
        modality="SR",
        series=("document", what, *history),
        kind=KIND,
        series_description=series_description,
        evidence=evidence,
        template=template,
    )
    dataset.PerformedProcedureCodeSequence = []
    dataset.CompletionFlag = "COMPLETE"
    dataset.PreliminaryFlag = "PRELIMINARY"
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.CodingSchemeIdentificationSequence = [codes.private_scheme()]
    if replaced:
        dataset.PredecessorDocumentsSequence = [
            _references(dataset, replaced, codes.REPLACED_REPORT)
        ]
    return dataset


def structured(
    provenance: Provenance,
    sop_class_uid: UID,
    title: Code,
    items: Sequence[ContentItem],
    *,
    modality: str,
    series: tuple[object, ...],
    kind: int,
    series_description: str,
    evidence: Sequence[Dataset],
    template: str | None,
) -> Dataset:
    """Make what reports and notes share: a series of one object that holds a tree of items."""
    root = ContainerContentItem(name=title, template_id=template)
    root.ContentSequence = ContentSequence(items)
    dataset = new_object(
        provenance,
        sop_class_uid,
        modality=modality,
        series=series,
        series_number=provenance.series_number(0, kind),
        series_description=series_description,
    )
    del dataset.BodyPartExamined  # a document shows no body part
    dataset.ReferencedPerformedProcedureStepSequence = []
    if evidence:
        dataset.CurrentRequestedProcedureEvidenceSequence = [_references(dataset, evidence)]
    for element in root:
        dataset[element.tag] = element
    return dataset


def _uids(objects: Sequence[Dataset]) -> list[str]:
    return [str(one.SOPInstanceUID) for one in objects]


def _references(
    document_dataset: Dataset, objects: Sequence[Dataset], purpose: Code | None = None
) -> Dataset:
    """List objects of the study, series by series (PS3.3 C.17.2.1)."""
    by_series: dict[str, list[Dataset]] = {}
    for one in objects:
        reference = Dataset()
        reference.ReferencedSOPClassUID = one.SOPClassUID
        reference.ReferencedSOPInstanceUID = one.SOPInstanceUID
        if purpose is not None:
            reference.PurposeOfReferenceCodeSequence = [codes.item(purpose)]
        by_series.setdefault(one.SeriesInstanceUID, []).append(reference)
    item = Dataset()
    item.StudyInstanceUID = document_dataset.StudyInstanceUID
    item.ReferencedSeriesSequence = []
    for series_uid, references in by_series.items():
        series = Dataset()
        series.SeriesInstanceUID = series_uid
        series.ReferencedSOPSequence = references
        item.ReferencedSeriesSequence.append(series)
    return item
