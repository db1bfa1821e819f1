from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.config import Analysis
from node.dicom_read import read_study
from node.dicom_read.geometry import long_axis_angle_deg
from pipeline.study import SliceGeometry
from tests.node.instances import Series, unit_orientation, write


def rotation(quaternion) -> np.ndarray:
    w, x, y, z = np.array(quaternion) / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


components = st.floats(-1, 1).filter(lambda value: abs(value) > 1e-3)
millimetres = st.floats(-500, 500)


@given(
    quaternion=st.tuples(components, components, components, components),
    position=st.tuples(millimetres, millimetres, millimetres),
    spacing=st.tuples(st.floats(0.5, 4), st.floats(0.5, 4)),
    pixel=st.tuples(st.floats(0, 300), st.floats(0, 300)),
)
def test_pixels_go_to_the_patient_and_back(quaternion, position, spacing, pixel):
    turned = rotation(quaternion)
    geometry = SliceGeometry(
        position_mm=position,
        column_direction=tuple(turned[:, 0]),
        row_direction=tuple(turned[:, 1]),
        spacing_mm=spacing,
        thickness_mm=8,
    )

    offset = geometry.to_patient_mm(np.array(pixel)) - np.array(position)

    row = offset @ np.array(geometry.row_direction) / spacing[0]
    column = offset @ np.array(geometry.column_direction) / spacing[1]
    np.testing.assert_allclose([row, column], pixel, atol=1e-6)
    assert abs(offset @ geometry.normal) < 1e-6


def test_the_patient_matrix_of_the_header_is_kept_to_the_last_digit(tmp_path):
    datasets = Series(slices=3).datasets()
    positions = sorted(tuple(map(float, d.ImagePositionPatient)) for d in datasets[::24])

    read = read_study(write(datasets, tmp_path), Analysis())

    slices = read.study.first_passes[0].slices
    assert sorted(s.geometry.position_mm for s in slices) == positions
    for image_slice in slices:
        directions = (
            *image_slice.geometry.column_direction,
            *image_slice.geometry.row_direction,
        )
        assert directions == unit_orientation()
        assert image_slice.geometry.spacing_mm == (2.0, 1.5)
        assert image_slice.geometry.thickness_mm == 8


def test_slices_go_from_base_to_apex_whichever_way_the_stack_was_planned(tmp_path):
    def turned_over(_index, _time, dataset):
        directions = [float(value) for value in dataset.ImageOrientationPatient]
        dataset.ImageOrientationPatient = [*(-v for v in directions[:3]), *directions[3:]]
        dataset.SliceLocation = 5.0  # the same for all: it is not to be used

    one = read_study(write(Series(slices=3).datasets(), tmp_path / "one"), Analysis())
    other = read_study(
        write(Series(slices=3, change=turned_over).datasets(), tmp_path / "other"), Analysis()
    )

    order = [s.frames[0, 0, 0] for s in one.study.first_passes[0].slices]
    assert order == [20, 10, 0]  # the builder's slices go towards the base
    assert [s.frames[0, 0, 0] for s in other.study.first_passes[0].slices] == order


def test_places_that_differ_by_less_than_half_a_millimetre_are_one_slice(tmp_path):
    def breathe(_index, time, dataset):
        position = np.array(dataset.ImagePositionPatient, dtype=float)
        dataset.ImagePositionPatient = [round(float(v) + 0.02 * (time % 5), 6) for v in position]

    read = read_study(write(Series(slices=2, change=breathe).datasets(), tmp_path), Analysis())

    assert [s.frames.shape[0] for s in read.study.first_passes[0].slices] == [24, 24]
    assert any("place of a slice changes" in note for note in read.study.notes)


@pytest.mark.parametrize(
    ("normal", "plausible"),
    [
        ((0.73, -0.62, -0.28), True),  # the real GE series
        ((0.35, -0.35, -0.87), True),  # an upright heart
        ((0.87, -0.50, 0.00), True),  # a lying one
        ((0.00, 0.00, 1.00), False),  # axial
        ((0.67, 0.74, 0.00), False),  # two-chamber view
        ((-0.30, 0.40, -0.86), False),  # four-chamber view
    ],
)
def test_short_axis_planes_are_told_from_others(normal, plausible):
    unit = np.array(normal) / np.linalg.norm(normal)
    along = np.cross(unit, [0.1, 0.9, 0.3])
    along /= np.linalg.norm(along)
    geometry = SliceGeometry(
        position_mm=(0, 0, 0),
        column_direction=tuple(along),
        row_direction=tuple(np.cross(unit, along)),
        spacing_mm=(1, 1),
        thickness_mm=8,
    )

    assert (long_axis_angle_deg(geometry) <= 60) is plausible
    reverse = replace(geometry, row_direction=tuple(-np.cross(unit, along)))
    assert long_axis_angle_deg(reverse) == pytest.approx(long_axis_angle_deg(geometry))
