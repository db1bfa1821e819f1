"""The measurement groups of the report (TID 1411, 1410 and 1501, PS3.16)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import highdicom as hd
import numpy as np
from highdicom.sr import (
    AlgorithmIdentification,
    FindingSite,
    GraphicTypeValues,
    ImageRegion,
    Measurement,
    MeasurementsAndQualitativeEvaluations,
    PlanarROIMeasurementsAndQualitativeEvaluations,
    ReferencedSegment,
    SourceImageForRegion,
    SourceSeriesForSegmentation,
    TrackingIdentifier,
    VolumetricROIMeasurementsAndQualitativeEvaluations,
)
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from node.dicom_write import codes
from node.dicom_write.document import code
from node.dicom_write.measurements import segment_measurements, two_ways, value_and_noise
from node.dicom_write.narrative import method_sentences, physical_parameters
from node.dicom_write.provenance import PRODUCT, Provenance
from node.dicom_write.stacks import AnalysedPass
from node.dicom_write.text import ascii_text
from pipeline.reserve import territory_flows, territory_name
from pipeline.result import Burden, BurdenBy, SegmentFlow
from pipeline.study import State

Group = (
    MeasurementsAndQualitativeEvaluations
    | PlanarROIMeasurementsAndQualitativeEvaluations
    | VolumetricROIMeasurementsAndQualitativeEvaluations
)


@dataclass(frozen=True, eq=False)
class PassObjects:
    """The objects of a first pass that the report may refer to, per stack; sent ones only."""

    analysed: AnalysedPass
    reference: list[list[Dataset]] = field(default_factory=list)
    segmentation: list[Dataset] = field(default_factory=list)
    """Of the AHA segments."""


def segment_groups(objects: PassObjects, provenance: Provenance) -> Iterator[Group]:
    """Make one group a segment with a number: MBF, its standard deviation, the pixels' median."""
    result = objects.analysed.result
    for one in result.segments:
        if not np.isfinite(one.mbf_ml_min_g):
            continue
        group = _segment_group(
            one,
            _referenced_segment(objects, one.segment),
            _tracking(provenance, f"MBF {result.label} {codes.aha_name(one.segment)}"),
            codes.model(result.model),
        )
        yield with_state(group, result.state)


def _segment_group(
    one: SegmentFlow, segment: ReferencedSegment | None, tracking: TrackingIdentifier, model: Code
) -> Group:
    sites = [FindingSite(anatomic_location=codes.AHA[one.segment])]
    if segment is None:
        return MeasurementsAndQualitativeEvaluations(
            tracking_identifier=tracking,
            finding_category=codes.ANATOMICAL_STRUCTURE,
            finding_type=codes.LV_MYOCARDIUM,
            finding_sites=sites,
            method=model,
            measurements=segment_measurements(one),
        )
    return VolumetricROIMeasurementsAndQualitativeEvaluations(
        tracking_identifier=tracking,
        referenced_segment=segment,
        finding_category=codes.ANATOMICAL_STRUCTURE,
        finding_type=codes.LV_MYOCARDIUM,
        finding_sites=sites,
        method=model,
        measurements=segment_measurements(one),
    )


def territory_groups(analysed: AnalysedPass, provenance: Provenance) -> Iterator[Group]:
    """Make the groups of the coronary territories and of the whole myocardium."""
    result = analysed.result
    for one in territory_flows(result.segments):
        site = codes.LV_MYOCARDIUM if one.territory is None else codes.ARTERY[one.territory]
        name = f"MBF {result.label} {territory_name(one.territory)}"
        group = _plain_group(
            provenance,
            name,
            [*value_and_noise(one, codes.MEAN), *two_ways(one, site)],
            site=None if one.territory is None else site,
            method=codes.model(result.model),
        )
        yield with_state(group, result.state)


def haemodynamics_groups(analysed: AnalysedPass, provenance: Provenance) -> Iterator[Group]:
    """Make the group of heart rate and pressure, as far as they are known."""
    result = analysed.result
    measured = [
        Measurement(name=name, value=round(value, 1), unit=unit)
        for name, value, unit in (
            (codes.HEART_RATE, result.heart_rate_bpm, codes.PER_MINUTE),
            (codes.SYSTOLIC_PRESSURE, result.systolic_pressure_mmhg, codes.MMHG),
            (codes.RATE_PRESSURE_PRODUCT, result.rate_pressure_product, codes.MMHG_PER_MINUTE),
        )
        if value is not None
    ]
    if measured:
        name = f"Haemodynamics {result.label}"
        group = _plain_group(provenance, name, measured, finding=codes.HEART)
        yield with_state(group, result.state)


def reserve_group(
    provenance: Provenance, name: str, site: Code | None, mpr: float, corrected: float | None
) -> Group:
    """Make the group of one perfusion reserve."""
    values = ((codes.PERFUSION_RESERVE, mpr), (codes.PERFUSION_RESERVE_CORRECTED, corrected))
    measured = [
        Measurement(name=code, value=round(value, 3), unit=codes.RATIO)
        for code, value in values
        if value is not None
    ]
    return _plain_group(provenance, f"MPR {name}", measured, site=site)


def burden_group(provenance: Provenance, burden: Burden) -> Group:
    """Make the group of one ischaemic burden, with the threshold that was configured."""
    unit = codes.ML_MIN_G if burden.by is BurdenBy.STRESS_FLOW else codes.RATIO
    return _plain_group(
        provenance,
        f"Ischaemic burden, {burden.by} below {burden.threshold:g}",
        [
            Measurement(
                name=codes.ISCHAEMIC_EXTENT, value=round(100 * burden.share, 1), unit=codes.PERCENT
            ),
            Measurement(name=codes.THRESHOLD, value=burden.threshold, unit=unit),
        ],
    )


def _plain_group(
    provenance: Provenance,
    name: str,
    measurements: list[Measurement],
    *,
    finding: Code = codes.LV_MYOCARDIUM,
    site: Code | None = None,
    method: Code | None = None,
) -> Group:
    """Make a group that refers to no image."""
    return MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(provenance, name),
        finding_category=codes.ANATOMICAL_STRUCTURE,
        finding_type=finding,
        finding_sites=None if site is None else [FindingSite(anatomic_location=site)],
        method=method,
        measurements=measurements,
    )


def landmark_groups(objects: PassObjects, provenance: Provenance) -> Iterator[Group]:
    """Make the groups of the RV insertion points, drawn on the reference images."""
    label = objects.analysed.label
    for stack, images in zip(objects.analysed.stacks, objects.reference, strict=False):
        for one, image in zip(stack.slices, images, strict=True):
            for name, meaning, point in (
                ("anterior", codes.INSERTION_ANTERIOR, one.insertion_points.anterior),
                ("inferior", codes.INSERTION_INFERIOR, one.insertion_points.inferior),
            ):
                identity = f"RV insertion {name} {label} {one.level} {image.InstanceNumber}"
                yield PlanarROIMeasurementsAndQualitativeEvaluations(
                    tracking_identifier=_tracking(provenance, identity),
                    referenced_region=_point(point, image),
                    finding_category=codes.ANATOMICAL_STRUCTURE,
                    finding_type=meaning,
                )


def method_group(analysed: AnalysedPass, provenance: Provenance) -> Group:
    """Make the group that says how: algorithm, version, every parameter (TID 4019)."""
    result = analysed.result
    told = [
        *method_sentences(result, analysed.first_pass),
        *physical_parameters(result),
    ]
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(provenance, f"Method {result.label}"),
        finding_type=codes.LV_MYOCARDIUM,
        method=codes.model(result.model),
        algorithm_id=AlgorithmIdentification(
            name=PRODUCT,
            version=provenance.version,
            parameters=[ascii_text(sentence) for sentence in told],
        ),
    )
    return with_state(group, result.state)


def with_state(group: Group, state: State) -> Group:
    """Add rest or stress to a group, behind its tracking identifiers."""
    if state in codes.STATE:
        item = code(codes.PATIENT_STATE, codes.STATE[state], "HAS OBS CONTEXT")
        group[0].ContentSequence.insert(2, item)
    return group


def _referenced_segment(objects: PassObjects, number: int) -> ReferencedSegment | None:
    """Refer to the segment in the stack that shows it; by series, or the report becomes huge."""
    for stack, segmentation in zip(objects.analysed.stacks, objects.segmentation, strict=False):
        if any(np.any(one.sectors == number) for one in stack.slices):
            [first, *_] = segmentation.ReferencedSeriesSequence
            return ReferencedSegment(
                sop_class_uid=segmentation.SOPClassUID,
                sop_instance_uid=segmentation.SOPInstanceUID,
                segment_number=number,
                source_series=SourceSeriesForSegmentation(first.SeriesInstanceUID),
            )
    return None


def _point(point: tuple[float, float], image: Dataset) -> ImageRegion:
    """Place a point: DICOM counts from the corner of the first pixel (PS3.3 C.18.6.1.1)."""
    row, column = point
    return ImageRegion(
        graphic_type=GraphicTypeValues.POINT,
        graphic_data=np.array([[column + 0.5, row + 0.5]]),
        source_image=SourceImageForRegion(
            referenced_sop_class_uid=image.SOPClassUID,
            referenced_sop_instance_uid=image.SOPInstanceUID,
        ),
    )


def _tracking(provenance: Provenance, name: str) -> TrackingIdentifier:
    return TrackingIdentifier(
        uid=hd.UID(provenance.uids.uid("track", name)), identifier=ascii_text(name)
    )


def groups_of_pass(objects: PassObjects, provenance: Provenance) -> Sequence[Group]:
    """Make all groups of one first pass; no number where the quality gate withholds them."""
    groups: list[Group] = [
        method_group(objects.analysed, provenance),
        *haemodynamics_groups(objects.analysed, provenance),
    ]
    if not objects.analysed.result.withheld:
        groups.extend(territory_groups(objects.analysed, provenance))
        groups.extend(segment_groups(objects, provenance))
    groups.extend(landmark_groups(objects, provenance))
    return groups
