"""The whole method on phantoms with known flow."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.analyse import analyse
from pipeline.errors import NoInputFunctionError
from pipeline.phantom import simulate
from pipeline.study import Origin, PerfusionStudy, State, T1Map
from tests.small_phantom import FAST


@pytest.fixture(scope="module")
def phantom():
    return simulate(3, replace(FAST, exact_physics=True, disease=False))


@pytest.fixture(scope="module")
def result(phantom, network):
    return analyse(phantom.study, network)


def test_every_segment_of_the_level_gets_a_flow(result):
    [first_pass] = result.first_passes
    assert [one.segment for one in first_pass.segments] == [7, 8, 9, 10, 11, 12]
    assert all(np.isfinite(one.mbf_ml_min_g) for one in first_pass.segments)


def test_the_wall_that_is_found_overlaps_the_true_one(phantom, result):
    found = result.first_passes[0].slices[0].regions.myocardium
    true = phantom.truth.first_passes[0].slices[0].regions.myocardium
    assert 2 * np.sum(found & true) / (found.sum() + true.sum()) > 0.6


def test_maps_are_numbers_in_the_wall_and_nowhere_else(result):
    [slice_result] = result.first_passes[0].slices
    numbers = np.isfinite(slice_result.maps.mbf_ml_min_g)
    assert numbers[slice_result.regions.myocardium].mean() > 0.9
    assert not numbers[~slice_result.regions.myocardium].any()


def test_native_t1_is_measured_in_a_map_under_the_outlines_that_were_found(phantom, network):
    [first_pass] = phantom.study.first_passes
    truth = phantom.truth.first_passes[0].slices[0]
    blood_s = 1.1 * first_pass.physics.t1_blood_s
    wall_s = 1.1 * first_pass.physics.t1_myocardium_s
    labels = truth.labels[truth.reference_frame]
    t1_s = np.select([np.isin(labels, (2, 3)), labels > 0], [blood_s, wall_s], 0.6)
    t1_map = T1Map(t1_s=t1_s, geometry=first_pass.slices[0].geometry, name="series 12")
    result = analyse(replace(phantom.study, t1_maps=(t1_map,)), network)
    [analysed] = result.first_passes
    assert analysed.physics.t1_blood_s == pytest.approx(blood_s)
    assert analysed.physics.t1_myocardium_s == pytest.approx(wall_s)
    assert analysed.physics.origin["t1_blood_s"] is Origin.MEASURED
    assert analysed.used.t1_blood_s == pytest.approx(blood_s, rel=0.05)
    assert analysed.used.t1_blood_s != analysed.physics.t1_blood_s
    assert "native-t1-measured" in [one.code for one in result.findings]


def test_without_a_map_the_study_says_that_t1_is_that_of_the_literature(result):
    assert "native-t1-literature" in [one.code for one in result.findings]


def test_the_same_study_gives_the_same_numbers(phantom, network, result):
    again = analyse(phantom.study, network)
    first, second = (one.first_passes[0].slices[0].maps for one in (result, again))
    np.testing.assert_array_equal(first.mbf_ml_min_g, second.mbf_ml_min_g)


def test_a_first_pass_without_bolus_fails_with_a_reason_and_the_other_goes_on(phantom, network):
    [good] = phantom.study.first_passes
    still = replace(good.slices[0], frames=np.repeat(good.slices[0].frames[:1], 40, axis=0))
    empty = replace(good, label="stress", state=State.STRESS, slices=(still,))
    result = analyse(PerfusionStudy(first_passes=(good, empty)), network)
    assert [one.label for one in result.first_passes] == ["rest"]
    [failure] = result.failures
    assert failure.label == "stress"
    assert failure.reason


def test_a_first_pass_that_cannot_be_quantified_fails_with_a_reason(phantom, network, monkeypatch):
    def refuse(*_):
        raise NoInputFunctionError("no passage of contrast agent")

    monkeypatch.setattr("pipeline.analyse.quantify", refuse)
    result = analyse(phantom.study, network)
    assert result.first_passes == ()
    assert [one.reason for one in result.failures] == ["no passage of contrast agent"]


def test_without_both_states_there_is_no_reserve(result):
    assert result.reserve == ()


def test_progress_names_each_piece_of_work(phantom, network):
    words = []
    analyse(phantom.study, network, progress=words.append)
    assert words[0] == "rest: where the heart is"
    assert "rest: blood flow" in words
