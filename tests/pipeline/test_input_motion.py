"""A separate input series is brought to where the pool of its slice lies."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from pipeline.input_motion import held_still
from pipeline.motion import align, follow
from pipeline.outline import Anatomy
from pipeline.result import InsertionPoints, Regions, SliceLevel
from pipeline.study import InputKind, InputSeries, PerfusionSlice
from tests.pipeline.blood_phantom import geometry, readout
from tests.pipeline.moving_heart import BOX, CENTRE, SIZE, SPACING_MM, breathing, simulate_heart

N_FRAMES = 36
ROWS, COLUMNS = np.mgrid[:SIZE, :SIZE]


@pytest.fixture(scope="module")
def leader():
    heart = simulate_heart(np.zeros((N_FRAMES, 2)))
    radius = np.hypot((ROWS - CENTRE[0]) / 1.2, COLUMNS - CENTRE[1])
    return Anatomy(
        source=PerfusionSlice(
            frames=heart.frames, time_s=heart.time_s, geometry=geometry(SPACING_MM[0])
        ),
        level=SliceLevel.BASAL,
        peak_lv_frame=heart.reference_frame,
        box=BOX,
        aligned=align(heart.frames, heart.time_s, BOX, heart.reference_frame, SPACING_MM),
        regions=Regions(
            myocardium=(radius >= 8) & (radius < 13),
            lv_pool=radius < 7,
            rv_pool=np.zeros((SIZE, SIZE), dtype=bool),
        ),
        insertion_points=InsertionPoints(anterior=(40.0, 50.0), inferior=(70.0, 50.0)),
        sectors=np.zeros((SIZE, SIZE), dtype=int),
    )


def series_of(heart, kind, spacing_mm=SPACING_MM[0]):
    one = PerfusionSlice(frames=heart.frames, time_s=heart.time_s, geometry=geometry(spacing_mm))
    return InputSeries(kind=kind, slice=one, readout=readout(), dose_ratio=10.0)


def pool_of(frames, leader):
    return frames[:, leader.regions.lv_pool].mean(axis=1)


def test_a_diluted_bolus_with_a_breathing_of_its_own_is_brought_to_the_slice(leader):
    moved = breathing(N_FRAMES, 8.0) + np.array([3.0, -2.0])
    still = pool_of(simulate_heart(np.zeros((N_FRAMES, 2)), seed=1).frames, leader)
    series = series_of(simulate_heart(moved, seed=1), InputKind.DUAL_BOLUS)
    found = pool_of(held_still(series, leader).slice.frames, leader)
    before = pool_of(series.slice.frames, leader)
    assert np.abs(found / still - 1.0).mean() < 0.3 * np.abs(before / still - 1.0).mean()


def test_a_dual_sequence_follows_its_slice(leader):
    series = series_of(simulate_heart(np.zeros((N_FRAMES, 2))), InputKind.DUAL_SEQUENCE)
    times = series.slice.time_s
    expected = follow(series.slice.frames, times, leader.aligned, times, SPACING_MM)
    np.testing.assert_array_equal(held_still(series, leader).slice.frames, expected.frames)


@pytest.mark.parametrize("known", [True, False])
def test_proton_density_frames_of_a_dual_sequence_move_like_those_of_its_slice(leader, known):
    """Where the slice has fewer of them, its earliest one stands for those before."""
    apart = np.array([[6.0, -4.0], [-2.0, 0.0]])
    still = simulate_heart(np.zeros((N_FRAMES, 2))).frames[:1]
    displaced = np.stack(
        [ndimage.shift(still[0], move / SPACING_MM) for move in (apart[0], apart[0], apart[1])]
    )
    series = series_of(simulate_heart(np.zeros((N_FRAMES, 2))), InputKind.DUAL_SEQUENCE)
    series = replace(series, slice=replace(series.slice, proton_density=displaced))
    leader = replace(leader, density_mm=apart if known else None)
    density = held_still(series, leader).slice.proton_density
    centre = (slice(30, -30), slice(30, -30))
    error = np.abs(density - still)[:, *centre].mean(axis=(1, 2)) / still[0][centre].mean()
    before = np.abs(displaced - still)[:, *centre].mean(axis=(1, 2)) / still[0][centre].mean()
    if known:
        assert np.all(error < 0.5 * before)
    else:
        np.testing.assert_allclose(density, displaced, rtol=1e-4, atol=1e-3)


def test_a_dual_sequence_is_freed_of_the_shading_of_its_slice(leader):
    """A heart that breathes through the brightness of the coils grows and fades in both series."""
    moved = breathing(N_FRAMES, 12.0)
    slope = np.array([0.008, -0.004])
    still = simulate_heart(np.zeros((N_FRAMES, 2)))
    brightness = np.exp(moved @ slope)
    displaced = np.stack(
        [
            gain * ndimage.shift(frame, move / SPACING_MM, order=1, mode="nearest")
            for frame, move, gain in zip(still.frames, moved, brightness, strict=True)
        ]
    )
    series = series_of(still, InputKind.DUAL_SEQUENCE)
    series = replace(series, slice=replace(series.slice, frames=displaced))
    breathes = replace(leader, aligned=replace(leader.aligned, bulk_displacement_mm=moved))
    wanted = pool_of(still.frames, leader)

    def error(slope):
        found = held_still(series, replace(breathes, shading_slope=slope)).slice.frames
        return np.abs(pool_of(found, leader) / wanted - 1.0).max()

    assert error(slope) < 0.02
    assert error(np.zeros(2)) > 0.05


def test_a_diluted_bolus_on_another_grid_is_left_as_it_is(leader):
    series = series_of(simulate_heart(np.zeros((N_FRAMES, 2))), InputKind.DUAL_BOLUS)
    elsewhere = replace(series, slice=replace(series.slice, geometry=geometry(3.0)))
    assert held_still(elsewhere, leader) is elsewhere
