import numpy as np
import pytest

from pipeline.errors import InvalidStudyError, NoMyocardiumError
from pipeline.landmarks import insertion_points
from pipeline.result import InsertionPoints, Regions, SliceLevel
from pipeline.sectors import aha_sectors, slice_levels
from pipeline.study import SliceGeometry
from tests.short_axis import SPACING_MM, draw

# A usual short-axis plane: rows run from superior to inferior, columns from right to left.
RIGHT_TO_LEFT = np.array([0.65, 0.755, 0.0]) / np.hypot(0.65, 0.755)
DOWN = np.cross([0.74, -0.637, 0.2] / np.linalg.norm([0.74, -0.637, 0.2]), RIGHT_TO_LEFT)
DOWN = -DOWN / np.linalg.norm(DOWN) if DOWN[2] > 0 else DOWN / np.linalg.norm(DOWN)


def heat(*points, shape=(128, 128)):
    """A map like the network's: 1 at each point, a Gaussian of 4 mm around it."""
    rows, columns = np.indices(shape)
    away = [
        np.hypot((rows - row) * SPACING_MM[0], (columns - column) * SPACING_MM[1])
        for row, column in points
    ]
    return np.max([np.exp(-0.5 * (one / 4) ** 2) for one in away], axis=0)


def regions_of(drawn, *seen):
    return Regions(
        myocardium=drawn.myocardium,
        lv_pool=drawn.lv_pool,
        rv_pool=drawn.rv_pool,
        insertion=heat(*(seen or (drawn.anterior, drawn.inferior))),
    )


def geometry(column_direction=RIGHT_TO_LEFT, row_direction=DOWN):
    return SliceGeometry(
        position_mm=(0.0, 0.0, 0.0),
        column_direction=tuple(column_direction),
        row_direction=tuple(row_direction),
        spacing_mm=SPACING_MM,
        thickness_mm=8.0,
    )


def distance_mm(one, other):
    return float(np.hypot(*((np.array(one) - np.array(other)) * SPACING_MM)))


def without_rv(regions):
    return Regions(
        myocardium=regions.myocardium,
        lv_pool=regions.lv_pool,
        rv_pool=np.zeros_like(regions.rv_pool),
    )


@pytest.mark.parametrize("rotation_deg", [0, 25, -30])
def test_the_insertion_points_are_the_peaks_of_their_map(rotation_deg):
    drawn = draw(rotation_deg=rotation_deg)
    found = insertion_points(regions_of(drawn), geometry())
    assert distance_mm(found.anterior, drawn.anterior) < 1
    assert distance_mm(found.inferior, drawn.inferior) < 1


@pytest.mark.parametrize("which", ["anterior", "inferior"])
def test_a_point_that_is_not_seen_lies_a_septum_away_over_the_right_ventricle(which):
    drawn = draw()
    found = insertion_points(regions_of(drawn, getattr(drawn, which)), geometry())
    assert distance_mm(found.anterior, drawn.anterior) < 20
    assert distance_mm(found.inferior, drawn.inferior) < 20


def test_two_peaks_beside_each_other_are_one_point():
    drawn = draw()
    beside = (drawn.anterior[0] + 3, drawn.anterior[1] - 3)
    found = insertion_points(regions_of(drawn, drawn.anterior, beside), geometry())
    assert distance_mm(found.inferior, drawn.inferior) < 20


def test_flipping_the_image_and_its_geometry_together_flips_the_points():
    drawn = draw(rotation_deg=15)
    regions = regions_of(drawn)
    upright = insertion_points(regions, geometry())
    flipped = Regions(
        myocardium=regions.myocardium[::-1],
        lv_pool=regions.lv_pool[::-1],
        rv_pool=regions.rv_pool[::-1],
        insertion=regions.insertion[::-1],
    )
    found = insertion_points(flipped, geometry(row_direction=-DOWN))
    last = regions.myocardium.shape[0] - 1
    mirrored = (last - upright.anterior[0], upright.anterior[1])
    assert distance_mm(found.anterior, mirrored) < 2


def test_without_a_right_ventricle_the_septum_is_taken_where_it_usually_is():
    drawn = draw()
    found = insertion_points(without_rv(regions_of(drawn)), geometry())
    assert distance_mm(found.anterior, drawn.anterior) < 25
    assert found.anterior[0] < found.inferior[0]


def test_points_need_myocardium():
    empty = np.zeros((64, 64), bool)
    with pytest.raises(NoMyocardiumError):
        insertion_points(Regions(myocardium=empty, lv_pool=empty, rv_pool=empty), geometry())


@pytest.mark.parametrize("level", list(SliceLevel))
def test_each_level_has_its_segments_of_equal_size_covering_the_wall(level):
    drawn = draw()
    points = InsertionPoints(anterior=drawn.anterior, inferior=drawn.inferior)
    sectors = aha_sectors(regions_of(drawn), points, level)
    expected = {
        SliceLevel.BASAL: range(1, 7),
        SliceLevel.MID: range(7, 13),
        SliceLevel.APICAL: range(13, 17),
    }[level]
    numbers, counts = np.unique(sectors[drawn.myocardium], return_counts=True)
    assert list(numbers) == list(expected)
    assert counts.max() < 1.15 * counts.min()
    assert not sectors[~drawn.myocardium].any()


def segment_at(sectors, drawn, angle_deg, radius_mm=27.0):
    centre = np.argwhere(drawn.lv_pool).mean(axis=0)
    offset = np.array([np.sin(np.deg2rad(angle_deg)), np.cos(np.deg2rad(angle_deg))])
    row, column = np.round(centre + offset * radius_mm / SPACING_MM[0]).astype(int)
    return int(sectors[row, column])


def test_basal_segments_run_counter_clockwise_in_the_standard_view():
    drawn = draw()  # right ventricle to the left of the picture, anterior up, angles run down
    points = InsertionPoints(anterior=drawn.anterior, inferior=drawn.inferior)
    sectors = aha_sectors(regions_of(drawn), points, SliceLevel.BASAL)
    origin = np.rad2deg(
        np.arctan2(drawn.anterior[0] - 64, drawn.anterior[1] - 64 - 8 / SPACING_MM[1])
    )
    found = [segment_at(sectors, drawn, origin + 30 - 60 * step) for step in range(6)]
    assert found == [1, 2, 3, 4, 5, 6]


def test_apical_segments_are_anterior_septal_inferior_lateral():
    drawn = draw()
    points = InsertionPoints(anterior=drawn.anterior, inferior=drawn.inferior)
    sectors = aha_sectors(regions_of(drawn), points, SliceLevel.APICAL)
    assert [segment_at(sectors, drawn, angle) for angle in (-90, 180, 90, 0)] == [13, 14, 15, 16]


@pytest.mark.parametrize("with_rv", [True, False])
def test_flips_and_transposition_of_the_image_do_not_change_the_numbers(with_rv):
    drawn = draw(rotation_deg=10)
    regions = regions_of(drawn) if with_rv else without_rv(regions_of(drawn))
    points = InsertionPoints(anterior=drawn.anterior, inferior=drawn.inferior)
    upright = aha_sectors(regions, points, SliceLevel.MID)
    turned = Regions(
        myocardium=regions.myocardium.T, lv_pool=regions.lv_pool.T, rv_pool=regions.rv_pool.T
    )
    swapped = InsertionPoints(anterior=points.anterior[::-1], inferior=points.inferior[::-1])
    assert (upright == aha_sectors(turned, swapped, SliceLevel.MID).T).mean() > 0.999
    last = upright.shape[1] - 1
    mirrored = Regions(
        myocardium=regions.myocardium[:, ::-1],
        lv_pool=regions.lv_pool[:, ::-1],
        rv_pool=regions.rv_pool[:, ::-1],
    )
    reflected = InsertionPoints(
        anterior=(points.anterior[0], last - points.anterior[1]),
        inferior=(points.inferior[0], last - points.inferior[1]),
    )
    again = aha_sectors(mirrored, reflected, SliceLevel.MID)[:, ::-1]
    assert (again == upright).mean() > 0.999


@pytest.mark.parametrize(
    ("count", "levels"),
    [
        (1, ["MID"]),
        (2, ["BASAL", "MID"]),
        (3, ["BASAL", "MID", "APICAL"]),
        (5, ["BASAL", "BASAL", "MID", "MID", "APICAL"]),
    ],
)
def test_slices_are_named_from_base_to_apex(count, levels):
    assert [level.name for level in slice_levels(count)] == levels


def test_no_slice_has_no_level():
    with pytest.raises(InvalidStudyError):
        slice_levels(0)
