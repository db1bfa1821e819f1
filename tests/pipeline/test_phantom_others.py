"""Cine, late enhancement, T1 map and localizer of a simulated patient look like what they are."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from pipeline.phantom import PhantomSettings, simulate
from pipeline.phantom.labels import Tissue
from pipeline.phantom.localizer import MATRIX, SPACING_MM, localizer
from pipeline.phantom.others import CINE_PHASES, late_signals, native_signals, other_pictures
from pipeline.phantom.patient import draw_patient
from tests.small_phantom import FAST

SETTINGS = replace(FAST, disease=False)


@pytest.fixture(scope="module")
def truth():
    return simulate(7, SETTINGS).truth


@pytest.fixture(scope="module")
def picture():
    (one,) = other_pictures(7, SETTINGS)
    return one


@pytest.fixture
def regions(truth):
    return truth.first_passes[0].slices[0].regions


def test_the_study_tells_what_its_other_pictures_need(truth):
    assert (truth.seed, truth.settings) == (7, SETTINGS)


def test_the_same_seed_gives_the_same_pictures(picture):
    (again,) = other_pictures(7, SETTINGS)
    np.testing.assert_array_equal(picture.cine, again.cine)
    np.testing.assert_array_equal(picture.t1_s, again.t1_s)


def test_the_cavity_of_the_cine_is_smallest_at_the_end_of_systole(picture, regions):
    heart = regions.lv_pool | regions.myocardium
    first = picture.cine[0]
    bright = 0.5 * (np.median(first[regions.lv_pool]) + np.median(first[regions.myocardium]))
    area = (picture.cine[:, heart] > bright).sum(axis=1)
    assert picture.cine.shape[0] == CINE_PHASES
    assert 0.25 * CINE_PHASES < area.argmin() < 0.55 * CINE_PHASES
    assert area.min() < 0.75 * area[0]
    assert area[-1] > 0.9 * area[0]


def test_the_t1_map_holds_the_patients_native_values(picture, truth, regions):
    physics = truth.first_passes[0].physics
    wall = np.median(picture.t1_s[binary_erosion(regions.myocardium)])
    blood = np.median(picture.t1_s[binary_erosion(regions.lv_pool)])
    assert wall == pytest.approx(physics.t1_myocardium_s, rel=0.03)
    assert blood == pytest.approx(physics.t1_blood_s, rel=0.03)
    assert (picture.t1_s == 0).any()


def test_late_enhancement_nulls_the_wall_and_shows_blood_and_scar():
    patient = draw_patient(np.random.default_rng(3), PhantomSettings())
    signal, inversion_s = late_signals(patient, n_injections=2)
    assert 0.15 < inversion_s < 0.5
    assert signal[Tissue.MYOCARDIUM] < 1e-6
    assert signal[Tissue.LV_BLOOD] > 0.05
    assert signal[Tissue.SCAR] > 0.05


def test_late_enhancement_is_dark_in_the_wall(picture, regions):
    wall = np.median(picture.late[binary_erosion(regions.myocardium)])
    blood = np.median(picture.late[binary_erosion(regions.lv_pool)])
    assert wall < 0.5 * blood


def test_blood_is_bright_in_balanced_pictures():
    signal = native_signals(draw_patient(np.random.default_rng(3), PhantomSettings()))
    assert signal[Tissue.LV_BLOOD] > 1.5 * signal[Tissue.MYOCARDIUM]
    assert signal[Tissue.AIR] == 0


def test_the_planes_of_the_localizer_are_orthogonal_and_cross_in_the_heart():
    planes = localizer(7, SETTINGS)
    normals = np.array([plane.geometry.normal for plane in planes])
    np.testing.assert_allclose(np.abs(normals @ normals.T), np.eye(3), atol=1e-9)
    origin = draw_patient(np.random.default_rng(7), SETTINGS).planning.origin_mm
    for plane in planes:
        row, column = np.rint(plane.geometry.to_pixel(origin)).astype(int)
        assert max(abs(row - MATRIX / 2), abs(column - MATRIX / 2)) <= 1
        middle = plane.pixels[row - 2 : row + 3, column - 2 : column + 3]
        assert np.median(middle) > 3 * np.median(plane.pixels)
        assert plane.geometry.spacing_mm == (SPACING_MM, SPACING_MM)
