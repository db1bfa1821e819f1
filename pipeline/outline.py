"""Anatomy of a first pass: where the heart is, held still and outlined, slice by slice."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from pipeline.errors import NoHeartError, PipelineError
from pipeline.heart import Heart, find_hearts
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
from pipeline.study import FirstPass, FloatArray, IntArray, PerfusionSlice

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
    shading_slope: FloatArray = field(default_factory=lambda: np.zeros(2))
    """What was taken out of the frames of the brightness of the coils [1/mm], (row, column)."""
    density_mm: FloatArray | None = None
    """Where the heart was in the proton-density frames, relative to the reference frame of
    `aligned` [frame, (row, column)]."""


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
    found: list[_Found] = []
    anatomies: list[Anatomy] = []
    findings: list[Finding] = []
    levels = slice_levels(len(first_pass.slices))
    progress(f"{first_pass.label}: where the heart is")
    hearts = find_hearts(first_pass.slices, network)
    for number, (source, level, heart) in enumerate(
        zip(first_pass.slices, levels, hearts, strict=True), start=1
    ):
        name = f"{number} of {len(levels)}"
        if isinstance(heart, PipelineError):
            findings.append(_left_out(name, level, heart))
        else:
            found.append(_found(source, level, name, heart))
    for one, aligned in zip(found, _held_still(found), strict=True):
        progress(f"{first_pass.label}: outlines of slice {one.name}")
        try:
            anatomies.append(_outline(one, aligned, network))
        except PipelineError as error:
            findings.append(_left_out(one.name, one.level, error))
    if not anatomies:
        raise NoHeartError(" ".join(finding.sentence for finding in findings))
    return anatomies, findings


def _left_out(name: str, level: SliceLevel, error: PipelineError) -> Finding:
    return Finding(
        code="slice-left-out",
        severity=Severity.WARNING,
        sentence=f"Slice {name} ({level}) is left out: {error}",
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Found:
    """One slice in which the heart was found."""

    source: PerfusionSlice
    level: SliceLevel
    name: str
    """``1 of 3`` …"""
    heart: Heart
    box: Box
    """Where the heart usually is."""


def _found(source: PerfusionSlice, level: SliceLevel, name: str, heart: Heart) -> _Found:
    box = heart_box(heart.left, heart.right, source.geometry.spacing_mm)
    return _Found(source=source, level=level, name=name, heart=heart, box=box)


def _held_still(found: Sequence[_Found]) -> Iterator[AlignedSeries]:
    """Align slices together where they have the same beats and grid, else each alone."""
    grids = {(one.source.frames.shape, one.source.geometry.spacing_mm) for one in found}
    together = len(grids) == 1 and same_beats([one.source.time_s for one in found])
    for group in [found] if together else [[one] for one in found]:
        yield from align_near_peak(
            [one.source.frames for one in group],
            [one.source.time_s for one in group],
            [one.box for one in group],
            [one.heart.peak_frame for one in group],
            group[0].source.geometry.spacing_mm,
        )


def same_beats(times_s: Sequence[FloatArray]) -> bool:
    """Whether slices [slice, time] follow each other within every beat, always in the same way."""
    times = np.stack(times_s)
    beat_s = np.median(np.diff(times))
    later_s = times - times[0]
    return bool(np.abs(later_s).max() < beat_s and np.ptp(later_s, axis=1).max() < beat_s / 2)


def _outline(found: _Found, aligned: AlignedSeries, network: AnatomyNetwork) -> Anatomy:
    """Anatomy of one slice that stands still."""
    source = found.source
    time_s, spacing_mm = source.time_s, source.geometry.spacing_mm
    regions = segment(aligned.frames, time_s, found.heart, spacing_mm, network)
    slope = shading_slope(aligned, regions, time_s)
    moved_mm = None
    if source.proton_density is not None:
        density, moved_mm = align_to(source.proton_density, aligned, found.box, spacing_mm)
        source = replace(source, proton_density=without_shading(density, moved_mm, slope))
    unshaded = without_shading(aligned.frames, aligned.bulk_displacement_mm, slope)
    points = insertion_points(regions, source.geometry)
    return Anatomy(
        source=source,
        level=found.level,
        peak_lv_frame=found.heart.peak_frame,
        box=heart_box(regions.myocardium | regions.lv_pool, regions.rv_pool, spacing_mm),
        aligned=replace(aligned, frames=unshaded),
        regions=regions,
        insertion_points=points,
        sectors=aha_sectors(regions, points, found.level, spacing_mm),
        shading_slope=slope,
        density_mm=moved_mm,
    )
