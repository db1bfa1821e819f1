"""T1 maps are used where they lie on the slices and say something that native tissue can."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.native_t1 import (
    NativeT1,
    Outline,
    measure_native_t1,
    native_t1_finding,
    with_native_t1,
)
from pipeline.phantom import simulate
from pipeline.result import Regions
from pipeline.study import Origin, SliceGeometry, T1Map
from tests.small_phantom import FAST

BLOOD_S, WALL_S, OUTSIDE_S = 1.62, 1.04, 0.35
SLICE = SliceGeometry(
    position_mm=(-60.0, -60.0, 0.0),
    column_direction=(1.0, 0.0, 0.0),
    row_direction=(0.0, 1.0, 0.0),
    spacing_mm=(1.6, 1.6),
    thickness_mm=8.0,
)


def radius_mm(geometry, shape, centre_mm=(0.0, 0.0)):
    """Distance of every pixel from a point of the patient's plane."""
    places = geometry.to_patient_mm(np.moveaxis(np.indices(shape), 0, -1))
    return np.hypot(places[..., 0] - centre_mm[0], places[..., 1] - centre_mm[1])


def outline():
    radius = radius_mm(SLICE, (75, 75))
    return Outline(
        geometry=SLICE,
        regions=Regions(
            myocardium=(radius >= 22) & (radius < 31),
            lv_pool=radius < 22,
            rv_pool=np.zeros((75, 75), dtype=bool),
        ),
    )


def t1_map(blood=BLOOD_S, wall=WALL_S, noise=0.04, centre_mm=(0.0, 0.0), size=1.0, **place):
    """A map on a grid of its own: other spacing, turned by 90 degrees in its plane."""
    geometry = replace(
        SLICE,
        position_mm=(70.0, -70.0, 1.0),
        column_direction=(0.0, 1.0, 0.0),
        row_direction=(-1.0, 0.0, 0.0),
        spacing_mm=(1.3, 1.3),
    )
    geometry = replace(geometry, **place)
    radius = radius_mm(geometry, (110, 110), centre_mm)
    limits = [radius < 22 * size, radius < 22 * size + 9 / size]
    t1 = np.select(limits, [blood, wall], OUTSIDE_S)
    t1 = t1 * (1 + noise * np.random.default_rng(1).standard_normal(t1.shape))
    return T1Map(t1_s=t1, geometry=geometry, name="series 12")


def measure(*maps):
    return measure_native_t1(maps, [outline()], 1.5)


def test_both_tissues_are_read_through_coordinates_of_the_patient():
    found = measure(t1_map())
    assert found.blood_s == pytest.approx(BLOOD_S, rel=0.01)
    assert found.myocardium_s == pytest.approx(WALL_S, rel=0.01)
    assert found.names == ("series 12",)


def test_a_heart_that_another_breath_moved_is_followed():
    found = measure(t1_map(centre_mm=(5.0, -4.0)))
    assert found.blood_s == pytest.approx(BLOOD_S, rel=0.01)
    assert found.myocardium_s == pytest.approx(WALL_S, rel=0.01)


@pytest.mark.parametrize("size", [0.88, 1.13])
def test_a_heart_in_another_phase_of_the_beat_is_followed(size):
    found = measure(t1_map(size=size, centre_mm=(2.0, 3.0)))
    assert found.blood_s == pytest.approx(BLOOD_S, rel=0.02)
    assert found.myocardium_s == pytest.approx(WALL_S, rel=0.02)


def test_holes_and_wild_pixels_do_not_move_the_median():
    one = t1_map()
    t1 = one.t1_s.copy()
    wild = np.random.default_rng(2).random(t1.shape)
    t1[wild < 0.1] = np.nan
    t1[wild > 0.9] = 4.5
    assert measure(replace(one, t1_s=t1)).myocardium_s == pytest.approx(WALL_S, rel=0.02)


@pytest.mark.parametrize(
    "refused",
    [
        t1_map(position_mm=(70.0, -70.0, 9.0)),
        t1_map(position_mm=(70.0, -70.0, 0.0), row_direction=(-0.8, 0.0, 0.6)),
        t1_map(blood=0.45, wall=0.40),
        t1_map(blood=1.05, wall=1.3),
        t1_map(noise=0.3),
        t1_map(centre_mm=(25.0, 0.0)),
        t1_map(position_mm=(400.0, -70.0, 1.0)),
    ],
    ids=["other slice", "tilted", "contrast agent", "wall over blood", "noise", "moved", "away"],
)
def test_a_map_that_does_not_fit_is_not_used(refused):
    assert measure(refused) is None


def test_the_maps_that_fit_count_and_the_others_do_not():
    assert measure(t1_map(), replace(t1_map(noise=0.3), name="series 13")).names == ("series 12",)


def test_a_measured_value_takes_the_place_of_literature_but_not_of_configuration():
    [first_pass] = simulate(3, replace(FAST, n_frames=30)).study.first_passes
    physics = replace(
        first_pass.physics,
        t1_blood_s=1.5,
        origin={"t1_blood_s": Origin.CONFIGURATION, "t1_myocardium_s": Origin.DEFAULT},
    )
    found = NativeT1(blood_s=BLOOD_S, myocardium_s=WALL_S, names=("series 12",))
    changed = with_native_t1(replace(first_pass, physics=physics), found).physics
    assert (changed.t1_blood_s, changed.t1_myocardium_s) == (1.5, WALL_S)
    assert changed.origin["t1_blood_s"] is Origin.CONFIGURATION
    assert changed.origin["t1_myocardium_s"] is Origin.MEASURED
    assert "1620 ms" in native_t1_finding([t1_map()], found, changed).sentence
    default = replace(physics, origin=dict.fromkeys(physics.origin, Origin.DEFAULT))
    for maps, words in (([], "has no native T1 map"), ([t1_map()], "do not fit")):
        finding = native_t1_finding(maps, None, default)
        assert finding.code == "native-t1-literature"
        assert words in finding.sentence
    configured = replace(physics, origin=dict.fromkeys(physics.origin, Origin.CONFIGURATION))
    assert native_t1_finding([], None, configured) is None
