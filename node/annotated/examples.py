"""Annotated studies to examples for training: each drawing is laid on the slice it belongs to.

A drawing belongs to the slice whose images it refers to; where it refers to none of them, to the
slice that lies in the same plane of the patient.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from pydicom.errors import InvalidDicomError
from scipy import ndimage

from node.annotated.drawings import (
    SEGMENTATION_CLASSES,
    AnnotationError,
    Drawing,
    drawings_of,
    sources_of,
)
from node.annotated.roles import NEEDED, Role
from node.config import Analysis
from node.dicom_read import NoPerfusionError, ReadStudy, read_study
from node.dicom_read.header import Header, tolerant_reading
from node.dicom_read.parsing import parse
from pipeline.margins import to_the_edges
from pipeline.motion import align
from pipeline.result import Box, InsertionPoints, Regions
from pipeline.study import BoolArray, PerfusionSlice
from pipeline.training.examples import Example, on_grid

_FARTHEST_MM: Final = 1.5
_SMALLEST_COSINE: Final = float(np.cos(np.radians(2.0)))
_WALL_OF_RV_MM: Final = 3.0
"""Drawn by nobody, but part of the heart."""


@dataclass(kw_only=True)
class _Study:
    """The files of one examination."""

    images: list[Path] = field(default_factory=list)
    segmentations: list[Path] = field(default_factory=list)
    derived: dict[str, list[tuple[str, int]]] = field(default_factory=dict)
    """From what images were derived: a drawing on the node's own reference series, or on another
    copy, belongs to the scanner's image behind it."""


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a drawing belongs."""

    first_pass: int
    slice: int
    frame: int | None
    """On which it was drawn; None: on no single one."""


def annotated_examples(folder: Path, config: Analysis) -> Iterator[tuple[str, Example]]:
    """Yield the name of the Segmentation and the example for each slice that was annotated.

    Parameters
    ----------
    folder
        Any number of studies in any layout: images, and Segmentations beside them.
    config
        For the reading of images.

    Raises
    ------
    AnnotationError
        Nothing is annotated, or an annotation cannot be used; the message lists all of them before
        anything is yielded.
    """
    found: list[tuple[ReadStudy, Drawing, _Place]] = []
    problems: list[str] = []
    for study in _studies(folder):
        found += _placed(study, config, problems)
    if not found and not problems:
        problems = ["there is no Segmentation with LV myocardium, LV and RV blood pool in it"]
    if problems:
        raise AnnotationError("\n".join(["the annotations cannot be used:", *problems]))
    for read, drawing, place in found:
        yield drawing.file, _example(read, drawing, place)


def _studies(folder: Path) -> list[_Study]:
    """Gather the files of each examination that has Segmentations."""
    studies: dict[str, _Study] = defaultdict(_Study)
    with tolerant_reading():
        for path in sorted(one for one in folder.rglob("*") if one.is_file()):
            try:
                header = Header(parse(path))
            except (InvalidDicomError, OSError, EOFError, ValueError):
                continue  # any other file
            study = studies[header.text("StudyInstanceUID")]
            if header.text("SOPClassUID") in SEGMENTATION_CLASSES:
                study.segmentations.append(path)
            else:
                study.images.append(path)
                study.derived[header.text("SOPInstanceUID")] = sources_of(header)
    return [studies[uid] for uid in sorted(studies) if studies[uid].segmentations]


def _placed(
    study: _Study, config: Analysis, problems: list[str]
) -> list[tuple[ReadStudy, Drawing, _Place]]:
    """Find the slice of every drawing of one examination; say which have none."""
    drawings: list[Drawing] = []
    with tolerant_reading():
        for path in study.segmentations:
            try:
                drawings += drawings_of(path, parse(path))
            except AnnotationError as error:
                problems.append(str(error))
    if not drawings:
        return []
    try:
        read = read_study(study.images, config)
    except NoPerfusionError:
        names = ", ".join(sorted({one.file for one in drawings}))
        problems.append(f"{names}: no first-pass perfusion images of its examination are there")
        return []
    found = []
    for drawing in drawings:
        place = _place(drawing, read, study.derived)
        if isinstance(place, str):
            problems.append(f"{drawing.file}: {place}")
        else:
            found.append((read, drawing, place))
    return found


def _place(
    drawing: Drawing, read: ReadStudy, derived: Mapping[str, Sequence[tuple[str, int]]]
) -> _Place | str:
    """Find where a drawing belongs, or say why it cannot be used."""
    missing = [role for role in (Role.MYOCARDIUM, Role.LV_POOL) if role not in drawing.masks]
    if missing:
        return f"in one of its planes nothing is drawn as {' or '.join(missing)}"
    behind = (one for uid, _ in drawing.drawn_on for one in derived.get(uid, ()))
    places = _referred({*drawing.drawn_on, *behind}, read)
    if not places:
        places = [place for place in _all_places(read) if _same_frame(drawing, read, place)]
    places = [place for place in places if _in_plane(drawing, _slice(read, place))]
    if not places:
        return "one of its planes lies on no perfusion slice of its examination"
    if len(places) > 1:
        labels = [read.study.first_passes[place.first_pass].label for place in places]
        return f"it lies on slices of {' and '.join(labels)} and refers to no image of one of them"
    return places[0]


def _referred(images: set[tuple[str, int]], read: ReadStudy) -> list[_Place]:
    """Find the slices of which some of the images are frames."""
    frames: dict[tuple[int, int], set[int]] = defaultdict(set)
    for number, source in enumerate(read.sources):
        for index, one in enumerate(source.slices):
            for time, frame in enumerate(one.frames):
                if (frame.sop_instance_uid, frame.frame_number or 1) in images:
                    frames[number, index].add(time)
    return [
        _Place(first_pass=number, slice=index, frame=min(times) if len(times) == 1 else None)
        for (number, index), times in sorted(frames.items())
    ]


def _all_places(read: ReadStudy) -> list[_Place]:
    return [
        _Place(first_pass=number, slice=index, frame=None)
        for number, first_pass in enumerate(read.study.first_passes)
        for index in range(len(first_pass.slices))
    ]


def _same_frame(drawing: Drawing, read: ReadStudy, place: _Place) -> bool:
    """Whether drawing and slice are placed in the same coordinates of the patient."""
    here = read.sources[place.first_pass].slices[place.slice].frame_of_reference_uid
    return not here or not drawing.frame_of_reference_uid or here == drawing.frame_of_reference_uid


def _in_plane(drawing: Drawing, source: PerfusionSlice) -> bool:
    normal = source.geometry.normal
    apart = np.subtract(drawing.geometry.position_mm, source.geometry.position_mm) @ normal
    cosine = abs(float(drawing.geometry.normal @ normal))
    return abs(float(apart)) <= _FARTHEST_MM and cosine >= _SMALLEST_COSINE


def _slice(read: ReadStudy, place: _Place) -> PerfusionSlice:
    return read.study.first_passes[place.first_pass].slices[place.slice]


def _example(read: ReadStudy, drawing: Drawing, place: _Place) -> Example:
    """Hold the heart still where it was drawn, and bring both to the grid of training."""
    source = _slice(read, place)
    masks = {role: _on_slice(mask, drawing, source) for role, mask in drawing.masks.items()}
    nothing = np.zeros(source.frames.shape[1:], dtype=bool)
    wall, lv_pool, rv_pool = (masks.get(role, nothing) for role in NEEDED)
    regions = Regions(myocardium=wall, lv_pool=lv_pool & ~wall, rv_pool=rv_pool & ~wall & ~lv_pool)
    if not regions.myocardium.any() or not regions.lv_pool.any():
        raise AnnotationError(f"{drawing.file}: what is drawn lies beside the images")
    spacing_mm = source.geometry.spacing_mm
    regions = to_the_edges(regions, spacing_mm)
    box = _box(wall | lv_pool | rv_pool, spacing_mm)
    peak = _peak(source, lv_pool)
    drawn_on = peak if place.frame is None else place.frame
    aligned = align(source.frames, source.time_s, box, drawn_on, spacing_mm)
    still = PerfusionSlice(frames=aligned.frames, time_s=source.time_s, geometry=source.geometry)
    return on_grid(still, regions, _points(masks), box, _peak(still, lv_pool))


def _on_slice(mask: BoolArray, drawing: Drawing, source: PerfusionSlice) -> BoolArray:
    """Look a mask up at the pixels of a slice, through coordinates of the patient."""
    pixels = np.moveaxis(np.indices(source.frames.shape[1:]), 0, -1)
    places = drawing.geometry.to_pixel(source.geometry.to_patient_mm(pixels))
    found = ndimage.map_coordinates(mask.astype(np.uint8), np.moveaxis(places, -1, 0), order=0)
    return np.asarray(found, dtype=bool)


def _box(heart: BoolArray, spacing_mm: tuple[float, float]) -> Box:
    """Put a box round both ventricles with their walls."""
    limits = []
    for axis, spacing in enumerate(spacing_mm):
        held = np.flatnonzero(heart.any(axis=1 - axis))
        margin = round(_WALL_OF_RV_MM / spacing)
        limits += [max(held[0] - margin, 0), min(held[-1] + 1 + margin, heart.shape[axis])]
    row_start, row_stop, column_start, column_stop = map(int, limits)
    return Box(
        row_start=row_start, row_stop=row_stop, column_start=column_start, column_stop=column_stop
    )


def _peak(source: PerfusionSlice, lv_pool: BoolArray) -> int:
    return int(source.frames[:, lv_pool].mean(axis=1).argmax())


def _points(masks: dict[Role, BoolArray]) -> InsertionPoints | None:
    """Take the middle of what was drawn at the insertions, where both were."""
    middles = []
    for role in (Role.ANTERIOR, Role.INFERIOR):
        if role not in masks or not masks[role].any():
            return None
        row, column = np.argwhere(masks[role]).mean(axis=0)
        middles.append((float(row), float(column)))
    return InsertionPoints(anterior=middles[0], inferior=middles[1])
