"""Anatomy of a first pass: where the heart is, held still and outlined, slice by slice."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from pipeline.errors import NoHeartError, PipelineError
from pipeline.heart import find_heart
from pipeline.landmarks import insertion_points
from pipeline.locate import heart_box
from pipeline.motion import align_near_peak, align_to
from pipeline.networks import AnatomyNetwork
from pipeline.result import (
    AlignedSeries,
    Box,
    Finding,
    InsertionPoints,
    Regions,
    Severity,
    SliceLevel,
)
from pipeline.sectors import aha_sectors, slice_levels
from pipeline.segment import segment
from pipeline.shading import shading_slope, without_shading
from pipeline.study import FirstPass, IntArray, PerfusionSlice

Progress = Callable[[str], None]


@dataclass(frozen=True, kw_only=True, eq=False)
class Anatomy:
    """One slice, held still and outlined."""

    source: PerfusionSlice
    """Its proton-density frames lie on the aligned ones."""
    level: SliceLevel
    peak_lv_frame: int
    box: Box
    aligned: AlignedSeries
    regions: Regions
    insertion_points: InsertionPoints
    sectors: IntArray


def outline_slices(
    first_pass: FirstPass, network: AnatomyNetwork, progress: Progress
) -> tuple[list[Anatomy], list[Finding]]:
    """Outline every slice of a first pass.

    Returns
    -------
    What was outlined, and a finding for each slice that could not be.

    Raises
    ------
    NoHeartError
        No slice could be outlined; the message says why for each.
    """
    anatomies: list[Anatomy] = []
    findings: list[Finding] = []
    count = len(first_pass.slices)
    levels = slice_levels(count)
    for number, (source, level) in enumerate(zip(first_pass.slices, levels, strict=True), start=1):
        progress(f"{first_pass.label}: slice {number} of {count}")
        try:
            anatomies.append(_outline(source, level, network))
        except PipelineError as error:
            findings.append(
                Finding(
                    code="slice-left-out",
                    severity=Severity.WARNING,
                    sentence=f"Slice {number} of {count} ({level}) is left out: {error}",
                )
            )
    if not anatomies:
        raise NoHeartError(" ".join(finding.sentence for finding in findings))
    return anatomies, findings


def _outline(source: PerfusionSlice, level: SliceLevel, network: AnatomyNetwork) -> Anatomy:
    """Motion compensation and anatomy of one slice."""
    time_s, spacing_mm = source.time_s, source.geometry.spacing_mm
    heart = find_heart(source.frames, time_s, spacing_mm, network)
    around = heart_box(heart.left, heart.right, spacing_mm)
    aligned = align_near_peak(source.frames, time_s, around, heart.peak_frame, spacing_mm)
    regions = segment(aligned.frames, time_s, heart, spacing_mm, network)
    slope = shading_slope(aligned, regions, time_s)
    if source.proton_density is not None:
        density, moved_mm = align_to(source.proton_density, aligned, around, spacing_mm)
        source = replace(source, proton_density=without_shading(density, moved_mm, slope))
    unshaded = without_shading(aligned.frames, aligned.bulk_displacement_mm, slope)
    aligned = replace(aligned, frames=unshaded)
    points = insertion_points(regions, source.geometry)
    return Anatomy(
        source=source,
        level=level,
        peak_lv_frame=heart.peak_frame,
        box=heart_box(regions.myocardium | regions.lv_pool, regions.rv_pool, spacing_mm),
        aligned=aligned,
        regions=regions,
        insertion_points=points,
        sectors=aha_sectors(regions, points, level, spacing_mm),
    )
