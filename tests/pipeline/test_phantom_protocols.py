"""How patients are injected, how blood recovers, and how coils are laid on."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.phantom import PhantomSettings
from pipeline.phantom.blood import blood_curves, draw_circulation
from pipeline.phantom.coils import Coils, coil_intensity, draw_coils
from pipeline.phantom.grid import Grid
from pipeline.phantom.patient import draw_patient
from pipeline.phantom.scanner import coil_maps, draw_scanner
from pipeline.study import State
from tests.small_phantom import FAST

COILS = Coils(
    places_rad=(np.pi - 0.4, np.pi + 0.4, np.pi, np.pi, -0.3, 0.0, 0.3),
    stand_off_mm=0.0,
    size_mm=80.0,
    gains=(1.0,) * 7,
    kept=1.0,
    tilt=(0.0, 0.0),
)


@pytest.fixture(scope="module")
def thorax():
    return draw_patient(np.random.default_rng(0), FAST).thorax


def front_over_back(coils, thorax):
    """Intensity of the septum's place over that of the lateral wall's."""
    x, y = np.meshgrid(np.arange(-60.0, 61.0, 5.0), np.arange(-60.0, 61.0, 5.0))
    signal, _ = coil_intensity(coils, thorax, x, y)
    return float(signal[y == 0][x[y == 0] == -35][0] / signal[y == 0][x[y == 0] == 35][0])


def circulations(n, **options):
    asked = {
        "state": State.REST,
        "weight_kg": 75.0,
        "dose_mmol": 7.5,
        "interval_s": 0.9,
        "second_injection": False,
    }
    return [draw_circulation(np.random.default_rng(seed), **asked | options) for seed in range(n)]


def test_coils_that_are_lifted_from_the_chest_darken_what_is_in_front(thorax):
    ratios = [
        front_over_back(replace(COILS, stand_off_mm=gap), thorax) for gap in (0.0, 30.0, 70.0)
    ]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] > 1.05 * ratios[2]


def test_correcting_too_much_turns_the_shading_round(thorax):
    plain = front_over_back(COILS, thorax)
    assert front_over_back(replace(COILS, kept=0.0), thorax) == pytest.approx(1.0)
    assert front_over_back(replace(COILS, kept=-1.0), thorax) == pytest.approx(1.0 / plain)


def test_the_same_place_is_as_bright_at_every_resolution(thorax):
    """A short readout of low resolution therefore keeps its scale to the main series."""
    coils = draw_scanner(np.random.default_rng(1), None).coils
    place = {"turn_rad": 0.0, "centre_mm": (0.0, 0.0)}
    fine, _ = coil_maps(coils, thorax, Grid.of_picture(matrix=150, spacing_mm=2.0, **place))
    coarse, _ = coil_maps(coils, thorax, Grid.of_picture(matrix=50, spacing_mm=6.0, **place))
    # the middle of three small pixels is the middle of the large one
    np.testing.assert_allclose(fine[4::9, 4::9], coarse[1::3, 1::3], rtol=0.02)


def test_coils_are_drawn_on_both_sides_of_even():
    drawn = [draw_coils(np.random.default_rng(seed)) for seed in range(200)]
    assert 0.15 < np.mean([one.stand_off_mm > 0 for one in drawn]) < 0.35
    assert min(one.kept for one in drawn) < 0 < np.median([one.kept for one in drawn])


def test_some_injections_are_slow_and_most_are_not():
    drawn = circulations(300)
    seconds = np.array([one.injection_s for one in drawn])
    assert 0.1 < np.mean(seconds > 6.5) < 0.3
    assert seconds.min() >= 0.6
    assert seconds.max() <= 15.0


def test_a_slow_injection_makes_a_long_plateau_of_the_same_area():
    base = circulations(1)[0]
    quick, slow = (
        blood_curves(replace(base, injection_s=seconds, body_share=0.0, mixing_share=0.0), 120.0)
        for seconds in (2.0, 12.0)
    )

    def width_s(curve):
        return float(np.sum(curve > 0.9 * curve.max()) * (quick.time_s[1] - quick.time_s[0]))

    assert width_s(slow.lv) > 1.5 * width_s(quick.lv)
    assert slow.lv.sum() == pytest.approx(quick.lv.sum(), rel=1e-3)


def test_short_recoveries_go_with_high_doses_and_long_ones_with_low():
    drawn = [
        draw_patient(np.random.default_rng(seed), PhantomSettings()).nominal for seed in range(150)
    ]
    wait = np.array(
        [
            one.readout.saturation_delay_s
            + one.readout.pulses_before_centre * one.readout.repetition_time_s
            for one in drawn
        ]
    )
    dose = np.array([one.dose_mmol_kg for one in drawn])
    assert wait.min() > 0.02
    assert wait.max() < 0.157
    assert dose[wait < 0.034].mean() > dose[wait > 0.13].mean() + 0.01
