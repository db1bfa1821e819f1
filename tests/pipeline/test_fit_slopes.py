import numpy as np
import pytest
import torch

from pipeline.fit.convolution import Convolution
from pipeline.fit.models import BTEX
from pipeline.fit.problem import Problem
from pipeline.fit.solver import linearise, solve
from pipeline.units import impulse_response_at_zero_per_s as per_second
from tests.kinetic_truth import after_artery, blood_curve, input_of

TIME_S = np.arange(0.0, 60.0, 0.9)


@pytest.fixture
def problem():
    return Problem(
        BTEX, BTEX.prior, Convolution(input_of(TIME_S, blood_curve(TIME_S)), TIME_S), 0.42
    )


def positions(problem, flow_ml_min_g):
    generator = torch.Generator().manual_seed(3)
    scattered = torch.randn(4, len(problem.prior_mean), generator=generator)
    there = problem.prior_mean + 0.5 * problem.prior_spread * scattered
    there[:, 0] = np.log(per_second(flow_ml_min_g))
    return there


@pytest.mark.parametrize("flow_ml_min_g", [0.3, 1.0, 3.0, 5.0])
def test_slopes_by_formula_are_those_by_differences(problem, flow_ml_min_g):
    here = positions(problem, flow_ml_min_g)
    lines = problem.linearise(here)
    slopes, values = lines[:, :-1], lines[:, -1]
    torch.testing.assert_close(values, problem.curves(here), rtol=1e-4, atol=1e-5)
    for index in range(here.shape[1]):
        step = torch.zeros_like(here)
        step[:, index] = 0.02
        difference = (problem.curves(here + step) - problem.curves(here - step)) / 0.04
        away = (slopes[:, index] - difference).norm() / difference.norm()
        assert away < 0.06, index


def test_dispersion_makes_a_curve_as_wide_as_an_artery_does(problem):
    spread_s = 0.7
    here = problem.prior_mean.repeat(2, 1)
    at = [one.name for one in BTEX.parameters].index("dispersion_s")
    here[0, at] = np.log(0.02)
    here[1, at] = np.log(spread_s)
    narrow, wide = problem.curves(here)
    mean_s = spread_s * np.sqrt(4)
    late = after_artery(blood_curve, mean_s=mean_s, tanks=4)
    behind = Convolution(input_of(TIME_S, late(TIME_S + mean_s)), TIME_S)
    truth = Problem(BTEX, BTEX.prior, behind, 0.42).curves(here[:1])[0]
    assert (wide - truth).abs().max() < 0.2 * (narrow - truth).abs().max()


def test_a_parameter_at_its_bound_does_not_keep_the_others_from_converging(problem):
    truth = positions(problem, 2.0)
    truth[:, 1] = problem.lowest[1] - 1.0  # permeability that no fit may reach
    data = problem.curves(truth)
    weight = torch.full_like(data, 1e4)
    search = solve(problem, data, weight, linearise(problem, positions(problem, 1.0)))
    assert (search.position[:, 1] == problem.lowest[1]).all()
    again = solve(problem, data, weight, linearise(problem, search.position.clone()))
    assert (search.appraisal.cost - again.appraisal.cost).abs().max() < 1.0
