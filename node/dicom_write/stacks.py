"""The stacks of planes on which overlays lie.

Overlays (Segmentation, Parametric Map) and viewers want one orientation and one pixel grid. Slices
that are truly tilted against each other get objects of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from node.dicom_write.derived_mr import Plane
from node.dicom_write.provenance import Provenance
from node.dicom_write.sources import ReadStudy, SliceSource
from node.errors import EncodingError
from pipeline.result import FirstPassResult, SliceResult
from pipeline.study import FirstPass, SliceGeometry

_SAME_MM = 1e-2
_SAME_DIRECTION = 1e-4
"""Cosine short of 1: about 0.8 degrees."""


@dataclass(frozen=True, eq=False)
class Stack:
    """Analysed slices that are parallel, distinct and on one grid."""

    slices: tuple[SliceResult, ...]
    planes: tuple[Plane, ...]
    """Of the slices' reference frames; all carry the very same orientation."""
    sources: tuple[SliceSource, ...]
    times_s: tuple[tuple[float, ...], ...]
    """Acquisition time of each frame of each slice."""


@dataclass(frozen=True, eq=False)
class AnalysedPass:
    """One first pass with what its objects need."""

    number: int
    """From 1, in the order of the study."""
    result: FirstPassResult
    first_pass: FirstPass
    stacks: tuple[Stack, ...]

    @property
    def label(self) -> str:
        """What people call it."""
        return self.result.label

    def part(self, stack: int) -> str:
        """Tell the stacks apart in descriptions, where there are several."""
        return f" part {stack + 1}" if len(self.stacks) > 1 else ""


def analysed_passes(
    results: Sequence[FirstPassResult], read: ReadStudy, provenance: Provenance
) -> tuple[AnalysedPass, ...]:
    """Bring each analysed first pass together with its source images.

    Raises
    ------
    EncodingError
        A result does not belong to the study.
    """
    return tuple(_analysed_pass(result, read, provenance) for result in results)


def _analysed_pass(
    result: FirstPassResult, read: ReadStudy, provenance: Provenance
) -> AnalysedPass:
    labels = [first_pass.label for first_pass in read.study.first_passes]
    if result.label not in labels:
        raise EncodingError(f"the result '{result.label}' is of no first pass of this study")
    index = labels.index(result.label)
    first_pass = read.study.first_passes[index]
    placed = [
        _place(slice_result, first_pass, read.sources[index].slices, provenance)
        for slice_result in result.slices
    ]
    return AnalysedPass(
        number=index + 1, result=result, first_pass=first_pass, stacks=_stacks(placed)
    )


_Placed = tuple[SliceResult, Plane, SliceSource, tuple[float, ...]]


def _place(
    slice_result: SliceResult,
    first_pass: FirstPass,
    sources: Sequence[SliceSource],
    provenance: Provenance,
) -> _Placed:
    """Find the source of an analysed slice by where it lies."""
    geometries = [one.geometry for one in first_pass.slices]
    if slice_result.geometry not in geometries:
        raise EncodingError(f"a slice of '{first_pass.label}' is not of this study")
    index = geometries.index(slice_result.geometry)
    perfusion_slice, source = first_pass.slices[index], sources[index]
    reference_frame = slice_result.aligned.reference_frame
    plane = Plane(
        geometry=slice_result.geometry,
        frame_of_reference=source.frame_of_reference_uid
        or provenance.uids.uid("frame of reference"),
        header=source.header(reference_frame),
        sources=(source.frames[reference_frame],),
        sequence=first_pass.physics.readout.sequence,
    )
    return slice_result, plane, source, tuple(map(float, perfusion_slice.time_s))


def _stacks(placed: Sequence[_Placed]) -> tuple[Stack, ...]:
    groups: list[list[_Placed]] = []
    for candidate in placed:
        for group in groups:
            if all(_stackable(member, candidate) for member in group):
                group.append(candidate)
                break
        else:
            groups.append([candidate])
    return tuple(_stack(group) for group in groups)


def _stack(group: Sequence[_Placed]) -> Stack:
    slices, planes, sources, times = zip(*group, strict=True)
    first = planes[0].geometry
    # Rounding differs between the headers of parallel slices; viewers compare exactly.
    aligned = tuple(
        replace(plane, geometry=_with_directions_of(plane.geometry, first)) for plane in planes
    )
    return Stack(slices=slices, planes=aligned, sources=sources, times_s=times)


def _with_directions_of(geometry: SliceGeometry, model: SliceGeometry) -> SliceGeometry:
    return replace(
        geometry,
        column_direction=model.column_direction,
        row_direction=model.row_direction,
        spacing_mm=model.spacing_mm,
        thickness_mm=model.thickness_mm,
    )


def _stackable(one: _Placed, other: _Placed) -> bool:
    here, there = one[1].geometry, other[1].geometry
    return (
        one[0].sectors.shape == other[0].sectors.shape
        and one[1].frame_of_reference == other[1].frame_of_reference
        and np.dot(here.column_direction, there.column_direction) > 1 - _SAME_DIRECTION
        and np.dot(here.row_direction, there.row_direction) > 1 - _SAME_DIRECTION
        and np.allclose(here.spacing_mm, there.spacing_mm, rtol=1e-3)
        and abs(here.thickness_mm - there.thickness_mm) < _SAME_MM
        and abs(np.subtract(here.position_mm, there.position_mm) @ here.normal) > _SAME_MM
    )
