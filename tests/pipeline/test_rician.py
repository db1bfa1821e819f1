"""Magnitudes near the noise, as scanners give them out."""

import numpy as np
import pytest

from pipeline.rician import (
    mean_magnitude,
    noise_excess,
    noise_level,
    noise_levels,
    shows_noise,
    without_noise,
)

SIGNAL = np.full((40, 900), 3.0)


def magnitudes(signal, *, coils=1, floor=0.0, seed=0):
    """Root of the sum of squares of coil images, less a share of the mean power of the noise."""
    rng = np.random.default_rng(seed)
    parts = rng.standard_normal((2 * coils, *signal.shape))
    parts[0] += signal
    return np.sqrt(np.maximum((parts**2).sum(axis=0) - floor * 2.0 * coils, 0.0))


def picture(**scanner):
    """Mostly dark frames with a region of signal [time, row, column]."""
    signal = np.zeros((40, 60, 60))
    signal[:, :30] = 3.0
    return magnitudes(signal, **scanner)


@pytest.mark.parametrize("floor", [0.6, 1.0, 1.3])
def test_a_floor_that_the_scanner_subtracted_is_not_subtracted_again(floor):
    assert noise_excess(picture(floor=floor)) == pytest.approx(2.0 * (1.0 - floor), abs=0.4)


def test_without_zeros_nothing_was_subtracted():
    assert noise_excess(picture()) == pytest.approx(2.0, rel=0.1)


def test_a_border_without_pixels_is_not_taken_for_a_subtracted_floor():
    frames = picture()
    frames[:, -10:] = 0.0
    assert noise_excess(frames) == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize("floor", [0.0, 0.8, 1.3])
def test_the_mean_of_a_dark_signal_is_right_whatever_the_scanner_did(floor):
    seen = magnitudes(SIGNAL, floor=floor, seed=1)
    excess = noise_excess(picture(floor=floor))
    assert mean_magnitude(seen.ravel(), 1.0, 0, excess) == pytest.approx(3.0, rel=0.03)
    assert noise_level(seen) == pytest.approx(1.0, rel=0.2)


def test_a_heart_that_breathes_in_bright_frames_is_not_taken_for_noise():
    bright = np.where(np.arange(40)[:, None] > 15, 30.0, 3.0) * np.ones((40, 900))
    breathing = 1.0 + 0.2 * np.cos(np.arange(40) * 2.1)[:, None]
    assert noise_level(magnitudes(bright * breathing)) == pytest.approx(1.0, rel=0.35)


@pytest.mark.parametrize("coils", [1, 2, 4])
def test_the_noise_of_combined_coil_images_is_told_by_its_spread(coils):
    frames = picture(coils=coils)
    assert noise_excess(frames) == pytest.approx(2.0 * coils, rel=0.15)
    seen = magnitudes(SIGNAL, coils=coils, seed=1)
    found = mean_magnitude(seen.ravel(), 1.0, 0, noise_excess(frames))
    assert found == pytest.approx(3.0, rel=0.05)


@pytest.mark.parametrize("beneath", [1.5, 2.4, 4.0])
def test_signal_in_the_darkest_pixels_is_not_taken_for_the_noise_of_more_coils(beneath):
    """It spreads as little as the noise of many, but evenly to both sides."""
    frames = magnitudes(np.full((40, 60, 60), beneath))
    assert noise_excess(frames) == pytest.approx(2.0, rel=0.35)


def test_bright_frames_that_change_a_little_more_than_noise_do_not_hide_what_the_dark_ones_tell():
    signal = np.where(np.arange(60)[:, None] < 20, 5.0, 30.0) * np.ones((60, 400))
    rng = np.random.default_rng(2)
    moved = np.where(signal > 10.0, 0.9 * rng.standard_normal(signal.shape), 0.0)
    assert noise_level(magnitudes(signal + moved)) == pytest.approx(1.0, rel=0.15)


def test_dark_frames_without_signal_do_not_pass_for_little_noise():
    signal = np.where(np.arange(60)[:, None] < 20, 0.0, 30.0) * np.ones((60, 400))
    assert noise_level(magnitudes(signal)) == pytest.approx(1.0, rel=0.05)


ROWS, COLUMNS = np.indices((40, 40))
RING = (np.hypot(ROWS - 20, COLUMNS - 20) >= 10) & (np.hypot(ROWS - 20, COLUMNS - 20) < 15)
POOL = np.hypot(ROWS - 20, COLUMNS - 20) < 10


def uneven_noise(*, slope=0.03, signal=12.0):
    """Frames of a ring and a pool whose noise is 1 in the middle and grows to the right."""
    noise = np.exp(slope * (COLUMNS - 20))
    return noise, noise * magnitudes(signal / noise * np.ones((60, 40, 40)))


@pytest.mark.parametrize("slope", [-0.03, 0.0, 0.03])
def test_noise_that_differs_from_side_to_side_is_found_in_each_pixel(slope):
    noise, frames = uneven_noise(slope=slope)
    for where in (RING, POOL):
        np.testing.assert_allclose(noise_levels(frames, RING, where), noise[where], rtol=0.12)


def test_too_few_pixels_tell_one_noise_for_all():
    _, frames = uneven_noise()
    few = RING & (ROWS < 8)
    levels = noise_levels(frames, few, POOL)
    assert np.ptp(levels) == 0.0
    assert levels[0] == noise_level(frames[:, few])


def test_only_a_bright_region_shows_the_noise():
    assert shows_noise(magnitudes(2.0 * SIGNAL))
    assert not shows_noise(magnitudes(SIGNAL / 2.0))


@pytest.mark.parametrize("coils", [1, 2, 4])
def test_single_magnitudes_are_on_average_what_is_beneath_the_noise(coils):
    """Before the bolus a curve would else begin above zero, by what its baseline was lowered."""
    seen = magnitudes(SIGNAL, coils=coils, seed=3)
    assert without_noise(seen, np.ones(seen.shape[1]), 2.0 * coils).mean() == pytest.approx(
        3.0, rel=0.03
    )
