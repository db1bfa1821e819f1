import dataclasses

import numpy as np
import pytest

from pipeline.motion import align
from pipeline.result import AlignedSeries
from tests.pipeline.moving_heart import BOX, SPACING_MM, MovingHeart, breathing, simulate_heart


def aligned(heart: MovingHeart) -> AlignedSeries:
    return align(heart.frames, heart.time_s, BOX, heart.reference_frame, SPACING_MM)


def error_pixels(heart: MovingHeart, result: AlignedSeries) -> np.ndarray:
    found = result.bulk_displacement_mm / SPACING_MM
    return np.linalg.norm(found - heart.displacement_pixels, axis=1)


@pytest.fixture(scope="module")
def breathing_heart() -> MovingHeart:
    return simulate_heart(breathing(40, amplitude_pixels=9))


@pytest.fixture(scope="module")
def breathing_result(breathing_heart) -> AlignedSeries:
    return aligned(breathing_heart)


def test_a_breathing_heart_is_found_in_every_frame(breathing_heart, breathing_result):
    before = np.linalg.norm(breathing_heart.displacement_pixels, axis=1)
    error = error_pixels(breathing_heart, breathing_result)
    assert before.max() > 5
    assert error.mean() < 0.3
    assert error.max() < 1.0


def test_frames_of_a_breathing_heart_come_to_lie_on_the_reference(
    breathing_heart, breathing_result
):
    offset = breathing(40, 9)[breathing_heart.reference_frame]
    goal = simulate_heart(np.zeros((40, 2)) + offset, noise=0.0)
    inside = (slice(None), *BOX.index)
    wall = goal.wall[inside]
    after = np.abs(breathing_result.frames[inside] - goal.frames[inside])[wall].mean()
    before = np.abs(breathing_heart.frames[inside] - goal.frames[inside])[wall].mean()
    assert after < 0.25 * before


def test_the_reference_frame_comes_back_untouched(breathing_heart, breathing_result):
    reference = breathing_heart.reference_frame
    assert breathing_result.reference_frame == reference
    assert np.array_equal(
        breathing_result.frames[reference], breathing_heart.frames[reference].astype(np.float32)
    )
    assert not breathing_result.bulk_displacement_mm[reference].any()


def test_a_still_series_stays_still_though_contrast_passes():
    heart = simulate_heart(np.zeros((40, 2)))
    result = aligned(heart)
    assert np.abs(result.bulk_displacement_mm / SPACING_MM).max() <= 0.2


def test_nothing_is_done_where_nothing_is_gained():
    heart = simulate_heart(np.zeros((40, 2)))
    result = aligned(heart)
    assert result.method == "none"
    assert np.array_equal(result.frames, heart.frames.astype(np.float32))


def test_displacement_is_given_in_millimetres_of_each_axis(breathing_heart, breathing_result):
    spacing_mm = (3.0, 1.0)
    result = align(
        breathing_heart.frames,
        breathing_heart.time_s,
        BOX,
        breathing_heart.reference_frame,
        spacing_mm,
    )
    ratio = result.bulk_displacement_mm / breathing_result.bulk_displacement_mm.clip(1e-9)
    moved = breathing_result.bulk_displacement_mm > 2.0
    assert np.allclose(ratio[..., 0][moved[..., 0]], 1.5, atol=0.1)
    assert np.allclose(ratio[..., 1][moved[..., 1]], 0.5, atol=0.1)


def test_brightness_of_the_whole_series_does_not_matter(breathing_heart, breathing_result):
    brighter = dataclasses.replace(breathing_heart, frames=7.5 * breathing_heart.frames)
    assert np.allclose(
        aligned(brighter).bulk_displacement_mm, breathing_result.bulk_displacement_mm, atol=0.02
    )


def test_the_same_series_gives_the_same_answer(breathing_heart, breathing_result):
    again = aligned(breathing_heart)
    assert np.array_equal(again.frames, breathing_result.frames)


def test_a_frame_of_another_heart_phase_gets_no_weight(breathing_heart):
    frames = breathing_heart.frames.copy()
    frames[30] = frames[30][::-1, ::-1]
    result = aligned(dataclasses.replace(breathing_heart, frames=frames))
    assert result.frame_weight[30] == 0
    assert result.frame_weight.sum() == len(frames) - 1


def test_every_frame_of_a_good_series_has_full_weight(breathing_result):
    assert (breathing_result.frame_weight == 1).all()
