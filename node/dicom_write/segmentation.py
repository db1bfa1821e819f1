"""Segmentations (binary, PS3.3 A.51): tissues, and the AHA segments of the myocardium."""

import highdicom as hd
import numpy as np
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code

from node.dicom_write import codes
from node.dicom_write.overlay import finish_overlay, frame_content, without_patient
from node.dicom_write.provenance import PRODUCT, Provenance
from node.dicom_write.stacks import AnalysedPass
from pipeline.margins import as_drawn
from pipeline.result import Regions, SliceResult
from pipeline.study import IntArray

TISSUE_KIND, AHA_KIND = 1, 2

TISSUE_COLOURS = ((230, 60, 40), (40, 120, 230), (240, 190, 30))
"""Myocardium, LV pool, RV pool."""

AHA_COLOURS = (
    (230, 25, 25), (255, 140, 0), (250, 215, 0), (110, 190, 0), (0, 150, 60), (0, 190, 170),
    (0, 160, 240), (30, 80, 230), (110, 60, 220), (180, 40, 220), (240, 60, 180), (255, 90, 110),
    (200, 90, 30), (140, 170, 40), (30, 130, 150), (150, 40, 110),
)  # fmt: skip
"""Saturated, so that a coloured overlay can be told from grey anatomy."""


def encode_tissues(
    analysed: AnalysedPass, stack_number: int, reference: list[Dataset], provenance: Provenance
) -> Dataset:
    """Segment LV myocardium (1), LV blood pool (2) and RV blood pool (3)."""
    stack = analysed.stacks[stack_number]
    labels = np.stack([_tissue_labels(_drawn(one)) for one in stack.slices])
    descriptions = [
        _describe(1, "LV myocardium", codes.ANATOMICAL_STRUCTURE, codes.LV_MYOCARDIUM, provenance),
        _describe(2, "LV blood pool", codes.TISSUE, codes.BLOOD, provenance),
        _describe(3, "RV blood pool", codes.TISSUE, codes.BLOOD, provenance),
    ]
    for description, region, colour in zip(
        descriptions,
        (codes.HEART, codes.LEFT_VENTRICLE, codes.RIGHT_VENTRICLE),
        TISSUE_COLOURS,
        strict=True,
    ):
        _place(description, region, colour)
    return _encode(
        analysed, stack_number, reference, provenance,
        labels=labels, descriptions=descriptions, what="tissue", kind=TISSUE_KIND,
        title=f"Tissue {analysed.label}",
    )  # fmt: skip


def encode_aha(
    analysed: AnalysedPass, stack_number: int, reference: list[Dataset], provenance: Provenance
) -> Dataset:
    """Segment the AHA segments 1 to 16: the segment number is the AHA number."""
    stack = analysed.stacks[stack_number]
    labels = np.stack(
        [np.where(_drawn(one).myocardium, one.sectors, 0) for one in stack.slices]
    ).astype(np.uint8)
    descriptions = []
    for number, code in codes.AHA.items():
        description = _describe(
            number,
            codes.aha_name(number),
            codes.ANATOMICAL_STRUCTURE,
            code,
            provenance,
            tracking=(analysed.label, "aha", number),
        )
        _place(description, codes.LV_MYOCARDIUM, AHA_COLOURS[number - 1])
        descriptions.append(description)
    return _encode(
        analysed, stack_number, reference, provenance,
        labels=labels, descriptions=descriptions, what="aha", kind=AHA_KIND,
        title=f"AHA segments {analysed.label}",
    )  # fmt: skip


def _drawn(one: SliceResult) -> Regions:
    return as_drawn(one.regions, one.geometry.spacing_mm)


def _tissue_labels(regions: Regions) -> IntArray:
    labels = np.zeros(regions.myocardium.shape, dtype=np.uint8)
    for number, mask in enumerate((regions.myocardium, regions.lv_pool, regions.rv_pool), start=1):
        labels[mask] = number
    return labels


def _describe(
    number: int,
    label: str,
    category: Code,
    kind: Code,
    provenance: Provenance,
    tracking: tuple[object, ...] | None = None,
) -> hd.seg.SegmentDescription:
    return hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=label,
        segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=f"{PRODUCT} segmentation",
            family=codes.ARTIFICIAL_INTELLIGENCE,
            version=provenance.version,
            source=PRODUCT,
        ),
        tracking_uid=provenance.uids.uid("track", *tracking) if tracking else None,
        tracking_id=f"{tracking[0]} {label}" if tracking else None,
    )


def _place(
    description: hd.seg.SegmentDescription, region: Code, colour: tuple[int, int, int]
) -> None:
    description.AnatomicRegionSequence = [hd.sr.CodedConcept.from_code(region)]
    description.RecommendedDisplayCIELabValue = list(hd.color.CIELabColor.from_rgb(*colour).value)


def _encode(
    analysed: AnalysedPass,
    stack_number: int,
    reference: list[Dataset],
    provenance: Provenance,
    *,
    labels: IntArray,
    descriptions: list[hd.seg.SegmentDescription],
    what: str,
    kind: int,
    title: str,
) -> Dataset:
    segmentation = hd.seg.Segmentation(
        source_images=without_patient(reference),
        pixel_array=labels,
        segmentation_type=hd.seg.SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions,
        content_description=f"{title} (research)",
        **frame_content(
            provenance,
            series=(analysed.label, what, stack_number),
            series_number=provenance.series_number(analysed.number, kind),
            label=what,
        ),
    )
    finish_overlay(
        segmentation,
        provenance,
        analysed.stacks[stack_number],
        f"{title}{analysed.part(stack_number)} RESEARCH",
    )
    return segmentation
