"""The scale of a short readout: found by each first pass, shared by all, and doubted."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.input_scale import (
    agreement,
    scale_findings,
    shared_scales,
    unknown_scale,
)
from pipeline.result import Severity
from pipeline.scale_evidence import two_readouts
from tests.kinetic_truth import blood_curve
from tests.pipeline.blood_phantom import (
    REGIONS,
    TIME_S,
    first_pass_of,
    readout,
    short_readout,
    slice_of,
)

LONG = readout(delay_s=0.06, pulses=20)


def both(peak_mmol_l, *, noise=0.01, factor=1.0):
    truth = blood_curve(TIME_S, peak_mmol_l=peak_mmol_l)
    second = slice_of(short_readout(), truth, noise=noise, step=2)
    second = replace(second, frames=factor * second.frames)
    first_pass = first_pass_of(
        LONG, slice_of(LONG, truth, noise=0.01), second=(short_readout(), second)
    )
    return two_readouts(first_pass, [first_pass.slices[0].frames], [REGIONS])


@pytest.mark.parametrize("factor", [0.3, 1.0, 5.0])
def test_a_scale_is_found_whatever_it_is(factor):
    seen = both(7.0, factor=factor)
    found = agreement(seen)
    assert found.values_mmol_l.max() == pytest.approx(7.0, rel=0.1)
    assert found.spread < 0.15


def test_a_first_pass_without_two_readouts_has_no_scale():
    first_pass = first_pass_of(LONG, slice_of(LONG, blood_curve(TIME_S)))
    assert two_readouts(first_pass, [first_pass.slices[0].frames], [REGIONS]) is None
    assert shared_scales([None, None]) == [None, None]


def test_one_first_pass_alone_knows_what_it_knew():
    seen = both(7.0)
    [shared, _] = shared_scales([seen, None])
    assert agreement(seen, shared).log_area == pytest.approx(agreement(seen).log_area, abs=0.01)
    assert shared.disagreement == pytest.approx(0.0, abs=1e-6)


def test_a_first_pass_that_cannot_tell_its_scale_takes_it_from_the_other():
    """A low peak lies on the straight part of the long readout, which has no curvature to tell."""
    vague, sure = both(1.6, noise=0.06), both(8.0, noise=0.005)
    alone = agreement(vague)
    shared = agreement(vague, shared_scales([vague, sure])[0])
    truth = np.log(np.clip(blood_curve(TIME_S, peak_mmol_l=1.6), 0.0, None).sum())
    assert shared.spread < 0.8 * alone.spread
    assert abs(shared.log_area - truth) < 2.0 * shared.spread


def test_first_passes_that_contradict_each_other_are_doubted_and_then_withheld():
    [agreed, _] = shared_scales([both(7.0), both(5.0)])
    assert scale_findings(agreed, 0.1) == ()
    [parted, _] = shared_scales([both(8.0, noise=0.005), both(8.0, noise=0.005, factor=2.5)])
    [finding] = scale_findings(parted, 0.1)
    assert finding.code == "input-scale-contradictory"
    assert finding.severity is Severity.WITHHOLD


def test_what_the_scale_leaves_open_is_said_where_it_is_much():
    shared = unknown_scale(both(7.0))
    [finding] = scale_findings(shared, 0.21)
    assert (finding.code, finding.severity) == ("input-scale-estimated", Severity.WARNING)
    assert "21%" in finding.sentence
    assert scale_findings(shared, 0.12) == ()
    assert scale_findings(None, 0.9) == ()


def test_blood_that_is_at_the_ceiling_from_the_beginning_still_has_a_scale():
    """What an earlier injection left may be read as far too much where a baseline is wrong."""
    seen = replace(both(7.0), residual_mmol_l=19.9)
    assert np.isfinite(agreement(seen).log_likelihood)
    assert np.isfinite(agreement(seen, shared_scales([seen, both(7.0)])[0]).log_area)
