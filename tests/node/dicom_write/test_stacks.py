"""Slices that do not make one plain stack: tilted, of another size, alone, without a frame."""

from dataclasses import replace

import numpy as np
import pytest
from pydicom.uid import MRImageStorage, ParametricMapStorage, SegmentationStorage

from node.errors import EncodingError

KINDS = ("reference", "segmentation", "parametric-map", "mbf-mr", "motion", "report")


def rotate(vector, degrees):
    """Turn a direction about the patient's long axis."""
    angle = np.radians(degrees)
    turn = np.array(
        [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
    )
    return tuple(map(float, turn @ vector))


def with_slices(case, change):
    """The case with rest only, whose slices `change` has edited (slice, slice result, source)."""
    first_pass, result, source = (
        case.read.study.first_passes[0],
        case.result.first_passes[0],
        case.read.sources[0],
    )
    changed = [
        change(number, *one)
        for number, one in enumerate(
            zip(first_pass.slices, result.slices, source.slices, strict=True)
        )
    ]
    slices, results, sources = zip(*[one for one in changed if one is not None], strict=True)
    return replace(
        case,
        result=replace(
            case.result, first_passes=(replace(result, slices=results),), reserve=()
        ),
        read=replace(
            case.read,
            study=replace(case.read.study, first_passes=(replace(first_pass, slices=slices),)),
            sources=(replace(source, slices=sources),),
        ),
    ).only(*KINDS)  # fmt: skip


def of_class(objects, sop_class_uid):
    return [one for one in objects if one.SOPClassUID == sop_class_uid]


def test_tilted_slices_get_objects_of_their_own(case):
    def tilt_the_apex(number, perfusion_slice, result, source):
        if number < 2:
            return perfusion_slice, result, source
        geometry = replace(
            result.geometry,
            column_direction=rotate(result.geometry.column_direction, 15),
            row_direction=rotate(result.geometry.row_direction, 15),
        )
        return (
            replace(perfusion_slice, geometry=geometry),
            replace(result, geometry=geometry),
            source,
        )

    objects = with_slices(case, tilt_the_apex).encode()
    assert [len(one.PerFrameFunctionalGroupsSequence)
            for one in of_class(objects, ParametricMapStorage)] == [2, 2, 2, 1, 1, 1]  # fmt: skip
    descriptions = {one.SeriesDescription for one in of_class(objects, SegmentationStorage)}
    assert "AHA segments rest part 1 RESEARCH" in descriptions
    assert "AHA segments rest part 2 RESEARCH" in descriptions
    assert len({one.SOPInstanceUID for one in objects}) == len(objects)


def test_one_slice_alone_is_enough(case):
    objects = with_slices(case, lambda number, *one: one if number == 1 else None).encode()
    [tissue, aha] = of_class(objects, SegmentationStorage)
    assert "part" not in aha.SeriesDescription
    assert tissue.Rows == 48


@pytest.mark.peer
def test_objects_of_one_slice_are_valid(case, verify):
    objects = with_slices(case, lambda number, *kept: kept if number == 1 else None).encode()
    for one in objects:
        assert verify(one) == [], one.SeriesDescription


def test_slices_at_the_same_place_are_kept_apart(case):
    """Two stacks acquired twice: overlays allow no two planes at one position."""
    twice = case.read.study.first_passes[0].slices[0].geometry

    def second_on_the_first(number, perfusion_slice, result, source):
        if number != 1:
            return perfusion_slice, result, source
        nearly = replace(twice, position_mm=(twice.position_mm[0] + 1e-6, *twice.position_mm[1:]))
        return replace(perfusion_slice, geometry=nearly), replace(result, geometry=nearly), source

    objects = with_slices(case, second_on_the_first).encode()
    assert len(of_class(objects, SegmentationStorage)) == 4


def test_a_missing_frame_of_reference_is_made_up_once_for_all(case):
    objects = with_slices(
        case, lambda _, *one: (*one[:2], replace(one[2], frame_of_reference_uid=None))
    ).encode()
    frames = {one.FrameOfReferenceUID for one in objects if one.SOPClassUID == MRImageStorage}
    assert len(frames) == 1
    assert frames.pop().startswith("2.25.")


def test_a_result_of_another_study_is_refused(case):
    stranger = replace(case.result.first_passes[0], label="perfusion 9")
    changed = replace(case, result=replace(case.result, first_passes=(stranger,)))
    with pytest.raises(EncodingError, match="no first pass of this study"):
        changed.only("report").encode()
