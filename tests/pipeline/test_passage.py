from dataclasses import replace

import numpy as np
import pytest

from pipeline.passage import pulmonary_transit_s, right_arrival_s
from pipeline.phantom import simulate
from pipeline.result import Regions
from tests.small_phantom import FAST


@pytest.fixture(scope="module")
def phantom():
    """A heart that stands still, so that its true masks fit every frame."""
    return simulate(3, replace(FAST, motion_mm=0.0, mistrigger_share=0.0))


def transit_of(phantom, change=lambda masks: masks):
    slices = phantom.study.first_passes[0].slices
    masks = [change(one.regions) for one in phantom.truth.first_passes[0].slices]
    return pulmonary_transit_s(slices, [one.frames for one in slices], masks)


def test_the_left_ventricle_fills_some_beats_after_the_right_one(phantom):
    assert 2.0 < transit_of(phantom) < 12.0


def test_confused_ventricles_fill_in_the_wrong_order(phantom):
    def confuse(masks):
        return Regions(myocardium=masks.myocardium, lv_pool=masks.rv_pool, rv_pool=masks.lv_pool)

    assert transit_of(phantom, confuse) < -2.0


def test_without_a_right_ventricle_no_order_is_seen(phantom):
    def without(masks):
        return replace(masks, rv_pool=np.zeros_like(masks.rv_pool))

    assert transit_of(phantom, without) is None


def test_the_right_ventricle_fills_before_the_bolus_comes_to_the_left_one(phantom):
    [one] = phantom.study.first_passes[0].slices
    truth = phantom.truth.first_passes[0]
    masks = truth.slices[0].regions
    right_s = right_arrival_s(one, one.frames, masks)
    assert 1.0 < truth.input_function.arrival_s - right_s < 12.0
    nothing = replace(masks, rv_pool=np.zeros_like(masks.rv_pool))
    assert right_arrival_s(one, one.frames, nothing) is None
