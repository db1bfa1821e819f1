import dataclasses

import numpy as np
import pytest
import torch

from pipeline.motion import align, align_near_peak, align_to, align_together, follow
from pipeline.motion.accept import SMALLEST_JACOBIAN, agreement, bends_well, jacobian
from pipeline.motion.bulk import NEIGHBOURS, refine, track
from pipeline.motion.edges import Canvas, prepare
from pipeline.motion.warp import displace
from pipeline.result import AlignedSeries
from tests.pipeline.moving_heart import (
    BOX,
    CENTRE,
    SIZE,
    SPACING_MM,
    MovingHeart,
    breathing,
    simulate_heart,
)


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


def test_the_number_of_threads_is_left_as_it_was(breathing_heart):
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        aligned(breathing_heart)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_a_frame_of_another_heart_phase_gets_no_weight(breathing_heart):
    frames = breathing_heart.frames.copy()
    frames[30] = frames[30][::-1, ::-1]
    result = aligned(dataclasses.replace(breathing_heart, frames=frames))
    assert result.frame_weight[30] == 0
    assert result.frame_weight.sum() == len(frames) - 1


def test_every_frame_of_a_good_series_has_full_weight(breathing_result):
    assert (breathing_result.frame_weight == 1).all()


TURN_RAD_PER_PIXEL = 0.02


@pytest.fixture(scope="module")
def turning_heart() -> MovingHeart:
    """Ten degrees at the deepest breath: two pixels at the wall."""
    displacement = breathing(50, amplitude_pixels=9)
    return simulate_heart(displacement, turn_rad=TURN_RAD_PER_PIXEL * displacement[:, 0])


@pytest.fixture(scope="module")
def turning_result(turning_heart) -> AlignedSeries:
    return aligned(turning_heart)


def true_field_pixels(heart: MovingHeart) -> np.ndarray:
    """Displacement of the tissue at each pixel of the reference frame [time, 2, row, column]."""
    depth = breathing(50, amplitude_pixels=9)
    deepest = depth[heart.reference_frame]
    rows, columns = np.mgrid[:SIZE, :SIZE].astype(float)
    y, x = rows - CENTRE[0] - deepest[0], columns - CENTRE[1] - deepest[1]
    angle = TURN_RAD_PER_PIXEL * (depth[:, 0] - deepest[0])[:, None, None]
    # near the axis the heart turns as a whole, against the angle by which it is looked up
    turned = np.stack(
        [np.cos(angle) * y + np.sin(angle) * x - y, np.cos(angle) * x - np.sin(angle) * y - x],
        axis=1,
    )
    return turned + heart.displacement_pixels[:, :, None, None]


def test_a_heart_that_turns_as_it_breathes_is_followed(turning_heart, turning_result):
    assert turning_result.method == "rigid and non-rigid"
    wall = turning_heart.wall[turning_heart.reference_frame]
    truth = true_field_pixels(turning_heart)[:, :, wall]
    bulk = (turning_result.bulk_displacement_mm / SPACING_MM)[:, :, None]
    whole = turning_result.displacement_mm[:, :, wall] / SPACING_MM[0]
    rigid_error = np.linalg.norm(bulk - truth, axis=1).mean()
    error = np.linalg.norm(whole - truth, axis=1).mean()
    assert error < 0.8 * rigid_error


def test_a_deformation_can_be_undone(turning_result):
    field = torch.from_numpy(turning_result.displacement_mm / SPACING_MM[0])
    back = torch.zeros_like(field)
    for _ in range(30):
        back = -displace(field, back)
    there_and_back = back + displace(field, back)
    assert there_and_back[:, :, 12:-12, 12:-12].abs().max() < 0.05
    assert jacobian(field).min() > SMALLEST_JACOBIAN


def test_a_heart_that_only_shifts_is_hardly_bent(breathing_heart, breathing_result):
    if breathing_result.displacement_mm is None:
        return
    wall = breathing_heart.wall[breathing_heart.reference_frame]
    bent = breathing_result.displacement_mm[:, :, wall] / SPACING_MM[0]
    truth = breathing_heart.displacement_pixels[:, :, None]
    assert np.linalg.norm(bent - truth, axis=1).mean() < 0.3


_HARDLY_SEEN = 0.3


def test_a_peak_frame_taken_in_a_deep_breath_is_not_what_the_others_are_aligned_to():
    peak = simulate_heart(breathing(40, amplitude_pixels=2)).reference_frame
    way = breathing(40, amplitude_pixels=2)
    way[peak] += (7.0, 0.0)
    heart = simulate_heart(way)
    (aligned,) = align_near_peak([heart.frames], [heart.time_s], [BOX], [peak], SPACING_MM)
    assert 0 < abs(aligned.reference_frame - peak) <= 3
    moved_mm = (way - way[aligned.reference_frame]) * SPACING_MM
    assert np.linalg.norm(aligned.bulk_displacement_mm - moved_mm, axis=1).max() < 1.0


def test_the_middle_peak_in_its_usual_place_is_the_reference_of_all_slices(breathing_heart):
    heart = breathing_heart
    peak = heart.reference_frame
    aligned = align_near_peak(
        [heart.frames] * 3, [heart.time_s] * 3, [BOX] * 3, [peak, peak + 2, peak - 1], SPACING_MM
    )
    assert [one.reference_frame for one in aligned] == [peak] * 3


def test_slices_that_show_the_heart_help_one_that_hardly_does():
    way = breathing(40, amplitude_pixels=7)
    clear, noisy = simulate_heart(way), simulate_heart(way, noise=_HARDLY_SEEN, seed=3)
    reference = clear.reference_frame
    true_mm = (way - way[reference]) * SPACING_MM

    def worst_mm(aligned):
        return np.linalg.norm(aligned.bulk_displacement_mm - true_mm, axis=1).max()

    alone = align(noisy.frames, noisy.time_s, BOX, reference, SPACING_MM)
    helped = align_together(
        [noisy.frames, clear.frames, clear.frames],
        [noisy.time_s, clear.time_s, clear.time_s],
        [BOX] * 3,
        reference,
        SPACING_MM,
    )[0]
    assert worst_mm(alone) > 15
    assert worst_mm(helped) < 6  # alike but for 3 mm in rows and in columns, then on by itself


def test_proton_density_frames_are_put_where_the_series_lies(breathing_heart, breathing_result):
    """A contrast without blood, wall or bolus: everything but lung is equally bright."""
    offset = breathing(40, 9)[breathing_heart.reference_frame]
    true_pixels = np.array([[4.0, -2.5], [-6.3, 1.0]])
    heart = simulate_heart(offset + true_pixels, noise=0.0)
    images = np.minimum(heart.frames, 30.0)
    images += np.random.default_rng(5).normal(0, 1.5, images.shape)
    moved, displacement_mm = align_to(images, breathing_result, BOX, SPACING_MM)
    assert np.abs(displacement_mm / SPACING_MM - true_pixels).max() < 0.4
    assert moved.shape == images.shape


def test_a_coarse_series_of_the_same_beats_follows(breathing_heart, breathing_result):
    coarse = breathing_heart.frames[:, ::3, ::3]
    spacing_mm = (3 * SPACING_MM[0], 3 * SPACING_MM[1])
    later_s = breathing_heart.time_s + 0.3
    result = follow(coarse, later_s, breathing_result, breathing_heart.time_s, spacing_mm)
    assert result.reference_frame == breathing_heart.reference_frame
    assert np.array_equal(result.bulk_displacement_mm, breathing_result.bulk_displacement_mm)
    assert np.allclose(result.frames[result.reference_frame], coarse[19], atol=0.01)
    late_heart = (slice(30, None), slice(13, 25), slice(14, 26))  # contrast hardly changes then
    after, before = result.frames[late_heart].std(axis=0), coarse[late_heart].std(axis=0)
    assert after.mean() < 0.6 * before.mean()


def test_deformations_that_do_not_explain_other_frames_are_refused(turning_heart):
    canvas, shift = rigid_step(turning_heart)
    rigid = agreement(canvas, shift)
    noise = torch.randn(*shift.shape, *canvas.size, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.avg_pool2d(noise[0], 9, stride=1, padding=4)[None]
    assert not bends_well(canvas, shift, rigid, smooth).any()


def test_deformations_that_fold_are_refused():
    rows = torch.arange(40.0)
    folding = torch.zeros(1, 1, 2, 40, 40)
    folding[0, 0, 0] = (6 * torch.sin(rows / 4))[:, None]
    assert jacobian(folding).min() < 0
    assert jacobian(torch.zeros(1, 1, 2, 40, 40)).allclose(torch.ones(1))


def rigid_step(heart: MovingHeart) -> tuple[Canvas, torch.Tensor]:
    source = torch.from_numpy(heart.frames.astype(np.float32))[None]
    canvas = prepare(source, [BOX], SPACING_MM, reach_mm=30.0)
    reference = heart.reference_frame
    shift = track(canvas, torch.from_numpy(heart.time_s)[None], reference, NEIGHBOURS[0])
    return canvas, refine(canvas, shift, reference)
