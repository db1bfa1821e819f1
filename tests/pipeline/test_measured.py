import numpy as np
import pytest
from scipy import ndimage

from pipeline.measured import MARGIN_SHARE, measured_cavity, measured_wall
from pipeline.result import Regions


def _ring(inner_mm: float, outer_mm: float, spacing_mm: tuple[float, float]) -> Regions:
    rows, columns = np.indices((90, 90))
    radius = np.hypot((rows - 45) * spacing_mm[0], (columns - 45) * spacing_mm[1])
    return Regions(
        myocardium=(radius >= inner_mm) & (radius < outer_mm),
        lv_pool=radius < inner_mm,
        rv_pool=np.zeros((90, 90), dtype=bool),
    )


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0), (1.0, 2.0)])
def test_a_margin_of_the_walls_thickness_is_left_out_on_both_sides(spacing_mm):
    regions = _ring(15, 35, spacing_mm)
    found = measured_wall(regions, spacing_mm)
    rows, columns = np.nonzero(found)
    radius = np.hypot((rows - 45) * spacing_mm[0], (columns - 45) * spacing_mm[1])
    margin = 20 * MARGIN_SHARE
    assert radius.min() == pytest.approx(15 + margin, abs=1.3)
    assert radius.max() == pytest.approx(35 - margin, abs=1.3)


def test_every_measured_pixel_has_only_wall_around_it():
    regions = _ring(15, 22, (2.0, 2.0))
    found = measured_wall(regions, (2.0, 2.0))
    assert found.any()
    assert not (ndimage.binary_dilation(found) & ~regions.myocardium).any()


def test_the_measured_wall_parts_its_cavity_from_all_outside_it():
    regions = _ring(15, 35, (1.0, 1.0))
    wall, cavity = measured_wall(regions, (1.0, 1.0)), measured_cavity(regions, (1.0, 1.0))
    np.testing.assert_array_equal(cavity, ndimage.binary_fill_holes(wall) & ~wall)


def test_a_wall_too_thin_to_be_measured_belongs_by_halves_to_both_sides():
    regions = _ring(15, 18, (1.5, 1.5))
    radius_mm = 1.5 * np.sqrt(measured_cavity(regions, (1.5, 1.5)).sum() / np.pi)
    assert radius_mm == pytest.approx(16.5, abs=0.75)


def test_a_wall_of_one_pixel_has_nothing_without_edges():
    assert not measured_wall(_ring(15, 16.5, (1.5, 1.5)), (1.5, 1.5)).any()


def test_a_wall_without_a_cavity_is_not_measured():
    assert not measured_wall(_ring(0, 20, (1.0, 1.0)), (1.0, 1.0)).any()


def test_no_wall_is_not_measured():
    nothing = np.zeros((20, 20), dtype=bool)
    regions = Regions(myocardium=nothing, lv_pool=nothing, rv_pool=nothing)
    assert not measured_wall(regions, (1.0, 1.0)).any()
