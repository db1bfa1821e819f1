"""Image formation, motion and geometry of the phantom against what is known by construction."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.errors import InvalidStudyError
from pipeline.phantom import PhantomSettings, simulate, stream
from pipeline.phantom.imaging import Acquisition, k_space_weights, magnitude_image, signal_image
from pipeline.phantom.patient import draw_patient
from pipeline.result import SliceLevel
from pipeline.study import InputKind, SequenceKind, State
from tests.small_phantom import FAST


def acquisition(matrix=32, sd=0.0, kept=1.0, channels=1):
    weights = k_space_weights(matrix, kept, 0.0)
    return Acquisition(
        matrix=matrix,
        row_weight=weights,
        column_weight=weights[: matrix // 2 + 1],
        phase_axis=0,
        n_channels=channels,
        noise_sd=np.full((matrix, matrix), sd, dtype=np.float32),
        ghost=0.0,
        acceleration=2,
        trust=1.0,
        floor=0.0,
        field_of_view=np.ones((matrix, matrix), dtype=bool),
    )


def image_of(fine, drift_pixels=(0.0, 0.0), **options):
    zeros = np.zeros_like(fine)
    rng = np.random.default_rng(0)
    scanner = acquisition(**options)
    image = signal_image(fine, zeros, scanner, drift_pixels=drift_pixels)
    return magnitude_image(image, scanner, rng)


def test_an_even_field_stays_even():
    np.testing.assert_allclose(image_of(np.ones((96, 96), np.float32)), 1.0, rtol=1e-5)


def test_an_object_in_the_middle_of_a_pixel_stays_there():
    fine = np.zeros((96, 96), np.float32)
    fine[3 * 10 : 3 * 10 + 3, 3 * 20 : 3 * 20 + 3] = 1.0
    image = image_of(fine)
    assert np.unravel_index(image.argmax(), image.shape) == (10, 20)
    around = image[7:14, 17:24]
    np.testing.assert_allclose(around, around[::-1, ::-1], atol=1e-5)


def test_truncation_of_k_space_makes_a_dark_rim_beside_a_bright_pool():
    fine = np.full((96, 96), 0.2, np.float32)
    fine[36:60, 36:60] = 1.0
    full, truncated = image_of(fine), image_of(fine, kept=0.6)
    beside = (slice(14, 18), slice(9, 12))
    assert full[beside].min() > 0.12
    assert truncated[beside].min() < full[beside].min()


def test_motion_during_the_readout_blurs_edges_and_leaves_even_fields_even():
    fine = np.ones((96, 96), np.float32)
    np.testing.assert_allclose(image_of(fine, drift_pixels=(2.0, 1.0)), 1.0, rtol=1e-5)
    fine[:, :48] = 0.0
    still, moved = image_of(fine), image_of(fine, drift_pixels=(0.0, 1.0))
    np.testing.assert_allclose(moved.mean(), still.mean(), rtol=0.05)
    along_lines = image_of(fine.T.copy(), drift_pixels=(1.0, 0.0))
    steepness = np.abs(np.diff(along_lines.mean(axis=1))).max()
    assert steepness < 0.97 * np.abs(np.diff(still.mean(axis=0))).max()


@pytest.mark.parametrize("channels", [1, 2])
def test_noise_has_the_sd_asked_for_on_signal_and_the_mean_of_chi_without(channels):
    bright = image_of(np.full((384, 384), 50.0, np.float32), matrix=128, sd=1.0, channels=channels)
    assert bright.std() == pytest.approx(1.0, rel=0.05)
    dark = image_of(np.zeros((384, 384), np.float32), matrix=128, sd=1.0, channels=channels)
    expected = {1: np.sqrt(np.pi / 2), 2: 1.5 * np.sqrt(np.pi / 2)}[channels]
    assert dark.mean() == pytest.approx(expected, rel=0.02)


@pytest.fixture(scope="module")
def moving():
    settings = replace(FAST, motion_mm=12.0, mistrigger_share=0.3, fields=True, n_frames=30)
    return simulate(12, settings)


def test_the_field_says_where_each_part_of_the_heart_went(moving):
    truth = moving.truth.first_passes[0].slices[0]
    pixel = moving.study.first_passes[0].slices[0].geometry.spacing_mm[0]
    still = np.abs(truth.displacement_mm).max(axis=1)
    frame = int(np.argmax(np.where(truth.usable, still, 0.0)))
    rows, columns = np.nonzero(truth.regions.lv_pool | truth.regions.myocardium)
    moved = truth.field_mm[frame][:, rows, columns] / pixel
    to_row, to_column = np.rint(rows + moved[0]), np.rint(columns + moved[1])
    there = truth.labels[frame][to_row.astype(int), to_column.astype(int)]
    assert still[frame] > 3.0
    assert np.mean((there == 1) | (there == 2)) > 0.95


def test_the_field_around_the_heart_is_its_displacement(moving):
    truth = moving.truth.first_passes[0].slices[0]
    wall = truth.regions.myocardium  # over the ring, contraction and rotation cancel
    usable = truth.usable & (np.abs(truth.displacement_mm).max(axis=1) > 3)
    mean = truth.field_mm[:, :, wall].mean(axis=2)
    np.testing.assert_allclose(mean[usable], truth.displacement_mm[usable], atol=1.0)


def test_a_frame_in_the_wrong_phase_has_another_cavity(moving):
    truth = moving.truth.first_passes[0].slices[0]
    assert not truth.usable.all()
    areas = (truth.labels == 2).sum(axis=(1, 2))
    usual = np.median(areas[truth.usable])
    assert np.all(np.abs(areas[~truth.usable] / usual - 1.0) > 0.08)


def test_without_motion_every_frame_shows_the_same_place():
    truth = simulate(4, replace(FAST, motion_mm=0.0, mistrigger_share=0.0)).truth
    labels = truth.first_passes[0].slices[0].labels
    assert (labels == labels[0]).all()


@pytest.fixture(scope="module")
def three_slices():
    return simulate(9, replace(FAST, n_slices=3, n_frames=16, motion_mm=0.0))


def test_slices_run_from_base_to_apex_against_their_normal(three_slices):
    slices = three_slices.study.first_passes[0].slices
    positions = [np.dot(one.geometry.position_mm, one.geometry.normal) for one in slices]
    assert positions == sorted(positions, reverse=True)
    levels = [known.level for known in three_slices.truth.first_passes[0].slices]
    assert levels == [SliceLevel.BASAL, SliceLevel.MID, SliceLevel.APICAL]
    assert set(three_slices.truth.first_passes[0].segment_mbf_ml_min_g) == set(range(1, 17))


def test_the_normal_points_to_the_base_and_the_septum_to_the_right(three_slices):
    geometry = three_slices.study.first_passes[0].slices[0].geometry
    right_back_up = np.array([-1.0, 1.0, 1.0])
    assert geometry.normal @ right_back_up > 0
    truth = three_slices.truth.first_passes[0].slices[0]
    left, right = (
        geometry.to_patient_mm(np.argwhere(mask).mean(axis=0))
        for mask in (truth.regions.lv_pool, truth.regions.rv_pool)
    )
    assert left[0] > right[0]  # LPS: x grows to the patient's left
    assert left[1] > right[1]  # the right ventricle lies in front


def test_insertion_points_lie_where_wall_and_right_ventricle_meet(three_slices):
    truth = three_slices.truth.first_passes[0].slices[0]
    geometry = three_slices.study.first_passes[0].slices[0].geometry
    anterior, inferior = truth.insertion_points.anterior, truth.insertion_points.inferior
    for point in (anterior, inferior):
        for region in (truth.regions.myocardium, truth.labels[0] >= 3):
            distance = np.linalg.norm(np.argwhere(region) - point, axis=1).min()
            assert distance * geometry.spacing_mm[0] < 6.0
    up = geometry.to_patient_mm(np.array(anterior)) - geometry.to_patient_mm(np.array(inferior))
    assert up[2] > 0


def test_the_box_is_the_tightest_around_both_ventricles(three_slices):
    for truth in three_slices.truth.first_passes[0].slices:
        regions = truth.regions
        outside = regions.myocardium | regions.lv_pool | regions.rv_pool
        outside[truth.box.index] = False
        assert not outside.any()


def test_disease_lowers_stress_flow_somewhere_and_health_does_not():
    def lowest(disease):
        settings = replace(FAST, states=(State.STRESS,), disease=disease, n_frames=4, n_slices=3)
        slices = simulate(21, settings).truth.first_passes[0].slices
        flow = np.concatenate([one.mbf_ml_min_g[one.regions.myocardium] for one in slices])
        return np.percentile(flow, 2) / np.median(flow)

    assert lowest(disease=True) < 0.75 < lowest(disease=False)


def test_flow_stays_within_what_is_known_of_patients():
    for phantom, _ in zip(stream(50, replace(FAST, n_frames=2)), range(8), strict=False):
        truth = phantom.truth.first_passes[0]
        low, high = (0.4, 1.5) if truth.state is State.REST else (0.5, 5.0)
        assert low <= np.nanmedian(truth.slices[0].mbf_ml_min_g) <= high


@pytest.mark.parametrize("kind", InputKind)
def test_the_separate_input_series_is_less_saturated_than_the_main_one(kind):
    settings = replace(FAST, input_kind=kind, motion_mm=0.0, contrast_to_noise=200.0)
    phantom = simulate(13, settings)
    separate = phantom.study.first_passes[0].input_series
    truth = phantom.truth.first_passes[0]
    pool = truth.slices[0].regions.lv_pool
    main = phantom.study.first_passes[0].slices[0]
    row, column = np.argwhere(pool).mean(axis=0) * (separate.slice.frames.shape[1] / pool.shape[0])
    inner = (slice(int(row) - 1, int(row) + 2), slice(int(column) - 1, int(column) + 2))

    def late_over_peak(curve):
        rise = curve - curve[:3].mean()
        return rise[-5:].mean() / rise.max()

    true = np.interp(
        main.time_s, truth.input_function.time_s, truth.input_function.concentration_mmol_l
    )
    wanted = late_over_peak(true)
    coarse = late_over_peak(separate.slice.frames[:, *inner].mean(axis=(1, 2)))
    saturated = late_over_peak(main.frames[:, pool].mean(axis=1))
    assert abs(coarse - wanted) < abs(saturated - wanted)


def test_proton_density_frames_of_the_blood_change_nothing_else():
    """Neither the first pass that has them nor the next one, whose draws come after."""
    settings = replace(
        FAST, states=(State.REST, State.STRESS), n_frames=8, input_kind=InputKind.DUAL_SEQUENCE
    )
    plain, added = (
        simulate(13, replace(settings, input_proton_density=asked)).study.first_passes
        for asked in (False, True)
    )
    for one, other in zip(plain, added, strict=True):
        np.testing.assert_array_equal(one.slices[0].frames, other.slices[0].frames)
        separate = other.input_series.slice
        np.testing.assert_array_equal(one.input_series.slice.frames, separate.frames)
        assert one.input_series.slice.proton_density is None
        bright = separate.proton_density.mean(axis=(1, 2))
        assert bright.min() > 5.0 * separate.frames[0].mean()


def test_some_studies_with_proton_density_frames_have_them_of_the_blood_and_some_do_not():
    settings = replace(
        FAST, n_frames=1, matrix=48, spacing_mm=6.0, input_kind=InputKind.DUAL_SEQUENCE
    )
    having = set()
    for seed in range(900, 970):
        patient = draw_patient(np.random.default_rng(seed), settings)
        if patient.proton_density and len(having) < 2:
            [one] = simulate(seed, settings).study.first_passes
            assert one.slices[0].proton_density is not None
            having.add(one.input_series.slice.proton_density is not None)
    assert having == {True, False}


def test_balanced_readouts_can_be_simulated():
    study = simulate(3, replace(FAST, sequence=SequenceKind.BALANCED_SSFP, n_frames=6)).study
    frames = study.first_passes[0].slices[0].frames
    assert np.isfinite(frames).all()
    assert frames.max() > 0


@pytest.mark.parametrize(
    "wrong", [{"n_slices": 0}, {"n_frames": 0}, {"matrix": 8}, {"field_strength_t": 7.0}]
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(InvalidStudyError):
        PhantomSettings(**wrong)
