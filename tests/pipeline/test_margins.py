import numpy as np
import pytest
from scipy import ndimage

from pipeline.margins import (
    FLOW_MARGIN,
    OUTLINE_MARGIN,
    as_drawn,
    measured_wall,
    to_the_edges,
)
from pipeline.result import Regions
from pipeline.training.score import dice


def _ring(inner_mm: float, outer_mm: float, spacing_mm: tuple[float, float]) -> Regions:
    rows, columns = np.indices((90, 90))
    radius = np.hypot((rows - 45) * spacing_mm[0], (columns - 45) * spacing_mm[1])
    return Regions(
        myocardium=(radius >= inner_mm) & (radius < outer_mm),
        lv_pool=radius < inner_mm,
        rv_pool=np.zeros((90, 90), dtype=bool),
    )


def _radius_mm(disc: np.ndarray) -> float:
    return float(np.sqrt(disc.sum() / np.pi))


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0), (1.0, 2.0)])
def test_a_margin_of_the_walls_thickness_is_left_out_on_both_sides(spacing_mm):
    regions = _ring(15, 35, spacing_mm)
    found = measured_wall(regions, spacing_mm)
    rows, columns = np.nonzero(found)
    radius = np.hypot((rows - 45) * spacing_mm[0], (columns - 45) * spacing_mm[1])
    margin = 20 * FLOW_MARGIN
    assert radius.min() == pytest.approx(15 + margin, abs=1.3)
    assert radius.max() == pytest.approx(35 - margin, abs=1.3)


def test_every_measured_pixel_has_only_wall_around_it():
    regions = _ring(15, 22, (2.0, 2.0))
    found = measured_wall(regions, (2.0, 2.0))
    assert found.any()
    assert not (ndimage.binary_dilation(found) & ~regions.myocardium).any()


def test_outlines_leave_out_a_share_of_the_wall_and_give_the_inner_one_to_the_cavity():
    drawn = as_drawn(_ring(15, 35, (1.0, 1.0)), (1.0, 1.0))
    margin = 20 * OUTLINE_MARGIN
    assert _radius_mm(drawn.lv_pool) == pytest.approx(15 + margin, abs=0.5)
    assert _radius_mm(drawn.lv_pool | drawn.myocardium) == pytest.approx(35 - margin, abs=0.5)
    holes = ndimage.binary_fill_holes(drawn.myocardium) & ~drawn.myocardium
    np.testing.assert_array_equal(drawn.lv_pool, holes)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0), (1.0, 1.5)])
def test_outlines_given_their_edges_again_are_the_wall_to_its_edges(spacing_mm):
    whole = _ring(15, 27, spacing_mm)
    again = to_the_edges(as_drawn(whole, spacing_mm), spacing_mm)
    assert dice(again.myocardium, whole.myocardium) > 0.97
    assert dice(again.lv_pool, whole.lv_pool) > 0.98
    assert not (again.myocardium & again.lv_pool).any()


def test_no_pixel_of_a_wall_that_is_one_pixel_thick_is_left_out():
    thin = _ring(15, 16.5, (1.5, 1.5))
    np.testing.assert_array_equal(as_drawn(thin, (1.5, 1.5)).myocardium, thin.myocardium)


def test_flow_is_measured_within_the_outlines():
    regions = _ring(15, 26, (1.3, 1.3))
    measured = measured_wall(regions, (1.3, 1.3))
    assert not (measured & ~as_drawn(regions, (1.3, 1.3)).myocardium).any()


def test_a_wall_of_one_pixel_has_nothing_without_edges():
    assert not measured_wall(_ring(15, 16.5, (1.5, 1.5)), (1.5, 1.5)).any()


def test_a_wall_without_a_cavity_is_not_measured_and_keeps_its_edges():
    disc = _ring(0, 20, (1.0, 1.0))
    assert not measured_wall(disc, (1.0, 1.0)).any()
    np.testing.assert_array_equal(as_drawn(disc, (1.0, 1.0)).myocardium, disc.myocardium)
    np.testing.assert_array_equal(to_the_edges(disc, (1.0, 1.0)).myocardium, disc.myocardium)


def test_no_wall_is_not_measured():
    nothing = np.zeros((20, 20), dtype=bool)
    regions = Regions(myocardium=nothing, lv_pool=nothing, rv_pool=nothing)
    assert not measured_wall(regions, (1.0, 1.0)).any()
    assert not as_drawn(regions, (1.0, 1.0)).myocardium.any()
    assert not to_the_edges(regions, (1.0, 1.0)).myocardium.any()
