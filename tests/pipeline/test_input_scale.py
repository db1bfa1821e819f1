"""The scale of a short readout: found by each first pass, shared by all, and doubted."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.input_scale import (
    agreement,
    residual_by_scales,
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
DENSITY = readout(delay_s=np.inf, pulses=8, degrees=5.0)


def both(peak_mmol_l, *, noise=0.01, factor=1.0, density=None, flip_scale=1.0):
    truth = blood_curve(TIME_S, peak_mmol_l=peak_mmol_l)
    tilted = [tilt(used, flip_scale) for used in (LONG, short_readout(), density)]
    second = slice_of(tilted[1], truth, noise=noise, step=2, density=tilted[2])
    second = replace(
        second,
        frames=factor * second.frames,
        proton_density=density and factor * second.proton_density,
        proton_density_readout=density,
    )
    first_pass = first_pass_of(
        LONG, slice_of(tilted[0], truth, noise=0.01), second=(short_readout(), second)
    )
    return two_readouts(first_pass, [first_pass.slices[0].frames], [REGIONS])


def after_an_injection(left_mmol_l, believed_mmol_l, peak_mmol_l=6.0):
    """Two readouts of blood in which contrast agent was left, and what is believed of it."""
    course = left_mmol_l + blood_curve(TIME_S, peak_mmol_l=peak_mmol_l)
    second = slice_of(short_readout(), course, noise=0.005, step=2)
    main = slice_of(LONG, course, noise=0.005)
    first_pass = first_pass_of(LONG, main, second=(short_readout(), second))
    return two_readouts(first_pass, [main.frames], [REGIONS], believed_mmol_l)


@pytest.mark.parametrize("believed_mmol_l", [0.2, 0.45])
def test_the_scale_of_the_other_first_pass_tells_what_an_injection_left(believed_mmol_l):
    passes = [both(7.0, noise=0.005), after_an_injection(0.3, believed_mmol_l)]
    found, left_open = residual_by_scales(passes, 1, 0.06)
    assert abs(found - 0.3) < 0.5 * abs(believed_mmol_l - 0.3)
    assert left_open < 0.08


def test_what_an_injection_left_stays_where_no_other_scale_is_known():
    first, second = both(7.0), after_an_injection(0.3, 0.4)
    assert residual_by_scales([None, second], 1, 0.06) is None
    assert residual_by_scales([first, None], 1, 0.06) is None
    assert residual_by_scales([first, second], 0, 0.06) is None


def tilt(used, flip_scale):
    return used and replace(used, flip_angle_rad=flip_scale * used.flip_angle_rad)


def log_area(values_mmol_l):
    return np.log(np.clip(values_mmol_l, 0.0, None).sum())


@pytest.mark.parametrize("factor", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("peak_mmol_l", [1.6, 4.0, 9.0])
def test_proton_density_frames_tell_the_scale_at_any_peak(factor, peak_mmol_l):
    """Even where the long readout has no curvature to tell it."""
    found = agreement(both(peak_mmol_l, noise=0.03, factor=factor, density=DENSITY))
    truth = log_area(blood_curve(TIME_S, peak_mmol_l=peak_mmol_l))
    assert found.log_area == pytest.approx(truth, abs=0.06)
    assert found.spread < 0.07


@pytest.mark.parametrize("flip_scale", [0.8, 1.15])
def test_with_proton_density_frames_a_wrong_flip_angle_hardly_matters(flip_scale):
    truth = log_area(blood_curve(TIME_S, peak_mmol_l=6.0))
    with_density, without = (
        agreement(both(6.0, noise=0.005, density=density, flip_scale=flip_scale))
        for density in (DENSITY, None)
    )
    assert abs(with_density.log_area - truth) < 0.1
    assert abs(with_density.log_area - truth) < 0.5 * abs(without.log_area - truth)


def test_proton_density_frames_of_an_unknown_readout_tell_nothing():
    seen = both(4.0, density=DENSITY)
    unknown, none = replace(seen, density_readout=None), both(4.0)
    assert seen.has_density
    assert not unknown.has_density
    assert agreement(unknown).log_area == pytest.approx(agreement(none).log_area)


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
    truth = log_area(blood_curve(TIME_S, peak_mmol_l=1.6))
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
