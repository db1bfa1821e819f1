"""The measurement report (Comprehensive SR, TID 1500): the numbers, their origin, the doubts."""

from collections.abc import Iterator, Sequence
from typing import cast

import numpy as np
from highdicom.sr import ContainerContentItem, ContentItem, ContentSequence
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code
from pydicom.uid import ComprehensiveSRStorage

from node.dicom_write import codes
from node.dicom_write.document import code, container, document, language, observer, text
from node.dicom_write.narrative import Sections
from node.dicom_write.provenance import Provenance
from node.dicom_write.report_groups import Group, PassObjects, groups_of_pass, reserve_group
from node.pictures import reserve_to_show
from pipeline.reserve import global_flow, territory_flow
from pipeline.result import FirstPassResult, PerfusionResult
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
    groups: list[Group] = list(_reserve_groups(result, provenance))
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


def _reserve_groups(result: PerfusionResult, provenance: Provenance) -> Iterator[Group]:
    """Make the groups of the reserve: per segment, per territory, global."""
    shown = reserve_to_show(result)
    if not shown:
        return
    rest, stress = _only(result, State.REST), _only(result, State.STRESS)
    if rest is not None and stress is not None:
        at_rest, at_stress = territory_flow(rest.segments), territory_flow(stress.segments)
        for territory in sorted(at_rest.keys() & at_stress.keys()):
            if at_rest[territory] > 0:
                mpr = at_stress[territory] / at_rest[territory]
                yield reserve_group(provenance, territory.name, codes.ARTERY[territory], mpr)
        whole = global_flow(stress.segments) / global_flow(rest.segments)
        if np.isfinite(whole):
            yield reserve_group(provenance, "global", None, whole)
    for one in shown:
        name = codes.aha_name(one.segment)
        yield reserve_group(provenance, name, codes.AHA[one.segment], one.mpr)


def _only(result: PerfusionResult, state: State) -> FirstPassResult | None:
    """Find the one first pass of a state whose numbers may be shown; None: none or several."""
    found = [one for one in result.first_passes if one.state is state and not one.withheld]
    return found[0] if len(found) == 1 else None
