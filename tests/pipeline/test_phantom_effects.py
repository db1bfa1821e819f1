"""Fields, flow through the slice, undersampling and noise floor against what must come of them."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.phantom import simulate
from pipeline.phantom.bloch import readout_signal
from pipeline.phantom.fields import EVEN, LEVEL_HZ, draw_fields
from pipeline.phantom.grid import Grid
from pipeline.phantom.imaging import Acquisition, k_space_weights, magnitude_image
from pipeline.phantom.labels import N_LABELS, Tissue
from pipeline.phantom.patient import draw_patient
from pipeline.phantom.settings import PhantomSettings
from pipeline.phantom.signals import label_signals
from pipeline.phantom.undersampling import share_frames
from pipeline.study import Readout, SequenceKind
from tests.small_phantom import FAST

READOUT = Readout(
    sequence=SequenceKind.SPOILED_GRADIENT_ECHO,
    repetition_time_s=2.4e-3,
    echo_time_s=1.1e-3,
    flip_angle_rad=np.radians(12.0),
    saturation_delay_s=0.04,
    pulses_before_centre=24,
)
BALANCED = replace(
    READOUT,
    sequence=SequenceKind.BALANCED_SSFP,
    flip_angle_rad=np.radians(45.0),
    echo_time_s=1.2e-3,
)
GRID = Grid.of_picture(matrix=64, spacing_mm=4.0, turn_rad=0.3, centre_mm=(0.0, 0.0))


def train(readout=READOUT, **options):
    return readout_signal(
        readout,
        r1_per_s=np.array([0.6]),
        r2_per_s=np.array([5.0]),
        **{"n_pulses": 25} | options,
    )[:, 0]


@pytest.mark.parametrize("readout", [READOUT, BALANCED])
def test_blood_that_is_wholly_replaced_has_seen_one_pulse_and_recovered_freely(readout):
    fresh = train(readout, replaced=1.0)
    delay = readout.saturation_delay_s + 24 * readout.repetition_time_s
    if readout is READOUT:
        free = (1 - np.exp(-0.6 * delay)) * np.sin(readout.flip_angle_rad)
        assert fresh[-1] == pytest.approx(free * np.exp(-1.1e-3 * 5.0), rel=1e-9)
    assert np.all(np.diff(fresh) > 0)


def test_flow_through_the_slice_makes_blood_brighter_by_degrees():
    still, slow, fast = (train(replaced=share)[-1] for share in (0.0, 0.02, 0.2))
    assert still < slow < fast < train(replaced=1.0)[-1]


def test_balanced_signal_is_even_around_resonance_and_falls_in_the_band():
    band = 0.5 / BALANCED.repetition_time_s
    assert train(BALANCED, off_resonance_hz=60.0)[-1] == pytest.approx(
        train(BALANCED, off_resonance_hz=-60.0)[-1]
    )
    middle = train(BALANCED)[-1]
    assert train(BALANCED, off_resonance_hz=30.0)[-1] == pytest.approx(middle, rel=0.1)
    steady = train(BALANCED, n_pulses=6000)[-1]
    assert train(BALANCED, n_pulses=6000, off_resonance_hz=band)[-1] < 0.1 * steady


def test_a_spoiled_readout_does_not_know_the_frequency():
    np.testing.assert_array_equal(train(off_resonance_hz=100.0), train())


def test_even_fields_are_even_and_drawn_ones_are_right_at_the_axis_only():
    assert not EVEN.flip_error(GRID).any()
    assert not EVEN.frequency_level(GRID).any()
    fields = draw_fields(np.random.default_rng(1), 3.0)
    error = fields.flip_error(GRID)
    axis = np.unravel_index(np.argmin(np.hypot(GRID.x_mm, GRID.y_mm)), error.shape)
    assert abs(error[axis]) < 0.01
    heart = np.hypot(GRID.x_mm, GRID.y_mm) < 35
    assert np.ptp(error[heart]) > 0.02
    level = fields.frequency_level(GRID)[axis]
    assert abs(level * LEVEL_HZ - abs(fields.frequency_hz)) < LEVEL_HZ


def test_fields_are_more_uneven_at_3_t():
    def spread(field):
        drawn = [draw_fields(np.random.default_rng(seed), field) for seed in range(40)]
        heart = np.hypot(GRID.x_mm, GRID.y_mm) < 35
        return np.median([np.ptp(one.flip_error(GRID)[heart]) for one in drawn])

    assert 0.1 < spread(3.0) < 0.5
    assert spread(1.5) < 0.5 * spread(3.0)


def test_the_change_with_the_flip_angle_is_what_another_flip_angle_gives():
    patient = draw_patient(np.random.default_rng(3), PhantomSettings())
    table = np.full((N_LABELS, 20), 1.5)
    fields = replace(EVEN, saturation_slope=0.05)

    def signal(scale, left):
        physics = patient.physics
        readout = replace(physics.readout, saturation_efficiency=1.0 - left)
        there = replace(fields, flip_scale=scale)
        return label_signals(table, np.zeros(1), physics, readout, fields=there)

    here, wanted = signal(1.0, 0.01), signal(1.08, 0.01 + 0.05 * 0.08)
    found = here.centre + 0.08 * here.by_flip
    labels = [Tissue.LV_BLOOD, Tissue.MYOCARDIUM + 20, Tissue.LIVER]
    np.testing.assert_allclose(found[0, 0, labels], wanted.centre[0, 0, labels], rtol=0.01)


def series(n_frames=24, size=32):
    rng = np.random.default_rng(0)
    still = rng.uniform(0.5, 1.0, (size, size)).astype(np.complex64)
    return np.repeat(still[None], n_frames, axis=0)


@pytest.mark.parametrize("axis", [0, 1])
def test_what_does_not_change_survives_undersampling(axis):
    images = series()
    shared = share_frames(images, axis=axis, acceleration=3, trust=0.2)
    np.testing.assert_allclose(shared, images, atol=1e-5)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_flash_folds_along_the_phase_axis_and_into_neighbouring_frames(axis):
    images = 0.0 * series()
    images[12, 16, 16] = 1.0
    shared = np.abs(share_frames(images, axis=axis, acceleration=4, trust=0.5))
    folded = (24, 16) if axis == 0 else (16, 24)
    across = (16, 24) if axis == 0 else (24, 16)
    assert shared[12][folded] > 0.05
    assert shared[12][across] < 1e-6
    assert shared[11, 16, 16] > 0.02
    assert shared[12, 16, 16] < 1.0
    np.testing.assert_array_equal(
        share_frames(images, axis=axis, acceleration=4, trust=1.0), images
    )


def test_subtracting_the_noise_floor_leaves_the_mean_power_of_the_signal():
    weights = k_space_weights(128, 1.0, 0.0)
    scanner = Acquisition(
        matrix=128,
        row_weight=weights,
        column_weight=weights[:65],
        phase_axis=0,
        n_channels=2,
        noise_sd=np.ones((128, 128), dtype=np.float32),
        ghost=0.0,
        acceleration=2,
        trust=1.0,
        floor=1.0,
        field_of_view=np.ones((128, 128), dtype=bool),
    )
    image = np.full((128, 128), 6.0, dtype=np.complex64)
    found = magnitude_image(image, scanner, np.random.default_rng(0))
    assert np.mean(found**2) == pytest.approx(36.0, rel=0.02)
    nothing = magnitude_image(0 * image, scanner, np.random.default_rng(0))
    assert 0.4 < np.mean(nothing == 0) < 0.8


def test_exact_physics_leaves_no_field_uneven_and_no_blood_flowing():
    exact = draw_patient(np.random.default_rng(0), PhantomSettings(exact_physics=True))
    assert exact.fields == EVEN
    assert exact.blood_speed_mm_s == 0
    drawn = simulate(5, replace(FAST, n_frames=2)).truth.first_passes[0]
    assert drawn.flip_scale != 1.0
