"""The measurement report (Comprehensive SR, TID 1500): the numbers, their origin, the doubts."""

from collections.abc import Iterator, Sequence
from typing import cast

from highdicom.sr import ContainerContentItem, ContentItem, ContentSequence
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import ComprehensiveSRStorage

from node.dicom_write import codes
from node.dicom_write.document import code, container, document, language, observer, text
from node.dicom_write.narrative import Sections
from node.dicom_write.provenance import Provenance
from node.dicom_write.report_groups import (
    Group,
    PassObjects,
    burden_group,
    groups_of_pass,
    reserve_group,
)
from pipeline.reserve import only_shown, territory_name, territory_reserve, work_correction
from pipeline.result import PerfusionResult
from pipeline.study import State

_PROCEDURE_REPORTED = Code("121058", "DCM", "Procedure reported")
_IMAGING_MEASUREMENTS = Code("126010", "DCM", "Imaging Measurements")


def encode_report(
    result: PerfusionResult,
    passes: Sequence[PassObjects],
    sections: Sections,
    provenance: Provenance,
) -> Dataset:
    """Make the report of a study.

    Parameters
    ----------
    passes
        Each first pass with those of its objects that are sent.
    sections
        What is said in words.
    """
    groups: list[Group] = list(_study_groups(result, provenance))
    for one in passes:
        groups.extend(groups_of_pass(one, provenance))
    measurements = ContainerContentItem(name=_IMAGING_MEASUREMENTS, relationship_type="CONTAINS")
    measurements.ContentSequence = ContentSequence(
        [cast("ContentItem", group[0]) for group in groups]
    )
    words = [
        text(codes.COMMENT, f"{heading}. {sentence}")
        for heading, sentences in sections
        for sentence in sentences
    ]
    items: list[ContentItem] = [
        language(),
        *observer(provenance),
        code(_PROCEDURE_REPORTED, codes.PROCEDURE, "HAS CONCEPT MOD"),
        measurements,
        container(codes.QUALITATIVE_EVALUATIONS, words),
    ]
    return document(
        provenance,
        ComprehensiveSRStorage,
        codes.PERFUSION_REPORT,
        items,
        what=f"report {provenance.uids.key_of(sections)}",
        series_description="Perfusion report RESEARCH",
        evidence=[
            image
            for one in passes
            for image in (*one.segmentation, *(image for part in one.reference for image in part))
        ],
        template="1500",
    )


def _study_groups(result: PerfusionResult, provenance: Provenance) -> Iterator[Group]:
    """Make the groups of the reserve (per territory, global, per segment) and of the burden."""
    rest, stress = (only_shown(result.first_passes, one) for one in (State.REST, State.STRESS))
    if stress is not None:
        for burden in result.burden:
            yield burden_group(provenance, burden)
    if rest is None or stress is None:
        return
    correction = work_correction(rest.rate_pressure_product)
    for one in territory_reserve(rest.segments, stress.segments, correction):
        site = None if one.territory is None else codes.ARTERY[one.territory]
        name = territory_name(one.territory)
        yield reserve_group(provenance, name, site, one.mpr, one.mpr_corrected)
    for segment in result.reserve:
        name, site = codes.aha_name(segment.segment), codes.AHA[segment.segment]
        yield reserve_group(provenance, name, site, segment.mpr, segment.mpr_corrected)
