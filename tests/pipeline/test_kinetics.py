import numpy as np
import pytest
import torch

from pipeline.fit.convolution import STEP_S, Convolution, fronts
from pipeline.kinetics import btex, exchange
from pipeline.result import InputFunction
from pipeline.units import impulse_response_at_zero_per_s as per_second
from tests.kinetic_truth import HAEMATOCRIT, blood_curve, plug_flow_exchange

TIME_S = np.arange(0.0, 60.0, 0.9)
FINE = torch.arange(0.0, 120.0, 0.01, dtype=torch.float64)


def column(*values):
    return [torch.tensor([value], dtype=torch.float64) for value in values]


def sharp(distance):
    return (distance >= 0.0).to(distance.dtype), torch.zeros_like(distance)


@pytest.mark.parametrize(
    "response",
    [
        lambda *p: exchange.two_compartment_exchange(FINE, *p),
        lambda *p: btex.impulse_response(FINE[None], 0.01, sharp, *p),
    ],
    ids=["2cxm", "btex"],
)
def test_response_starts_at_the_flow_and_its_area_is_the_distribution_volume(response):
    h = response(*column(0.03, 0.02, 0.06, 0.2))[0]
    assert h[0].item() == pytest.approx(0.03, rel=1e-6)
    assert torch.trapezoid(h, FINE).item() == pytest.approx(0.06 + 0.2, rel=1e-2)


def test_two_compartments_without_return_are_the_uptake_model():
    whole = exchange.two_compartment_exchange(FINE, *column(0.03, 0.02, 0.06, 1e6))
    uptake = exchange.two_compartment_uptake(FINE, *column(0.03, 0.02, 0.06))
    assert torch.allclose(whole, uptake, atol=1e-8)


def test_two_compartments_with_instant_plasma_are_the_tofts_model_in_the_end():
    whole = exchange.two_compartment_exchange(FINE, *column(5.0, 0.02, 0.001, 0.2))[0]
    transfer = 5.0 * 0.02 / (5.0 + 0.02)
    simple = exchange.tofts(FINE, *column(transfer, 0.2))[0]
    assert torch.allclose(whole[200:], simple[200:], rtol=1e-2)


def test_two_compartments_equal_their_differential_equations():
    flow, ps, plasma, interstitium = 0.03, 0.02, 0.06, 0.2
    step, cp, ce = 1e-4, 1.0 / plasma * flow, 0.0
    for _ in range(20_000):
        exchanged = ps * (ce - cp)
        cp, ce = (
            cp + step * (exchanged - flow * cp) / plasma,
            ce - step * exchanged / interstitium,
        )
    h = exchange.two_compartment_exchange(
        torch.tensor([2.0], dtype=torch.float64), *column(flow, ps, plasma, interstitium)
    )
    assert h.item() == pytest.approx(plasma * cp + interstitium * ce, rel=1e-3)


@pytest.mark.parametrize("mbf", [0.4, 1.0, 2.8, 5.0])
@pytest.mark.parametrize("delay_s", [0.3, 1.4])
def test_capillary_on_the_half_second_grid_equals_the_finely_stepped_one(mbf, delay_s):
    plasma_share = 1.0 - HAEMATOCRIT
    truth = plug_flow_exchange(
        TIME_S,
        blood_curve,
        mbf_ml_min_g=mbf,
        ps_ml_min_g=1.2,
        blood_volume=0.11,
        interstitium=0.2,
        delay_s=delay_s,
    )
    blood = InputFunction(
        time_s=TIME_S,
        concentration_mmol_l=blood_curve(TIME_S),
        arrival_s=8.2,
        first_pass_end_s=20.0,
        source="truth",
    )
    convolution = Convolution(blood, TIME_S)
    after = convolution.lag_s[None] - delay_s
    h = btex.impulse_response(
        after,
        STEP_S,
        fronts,
        *column(per_second(mbf) * plasma_share, per_second(1.2), 0.11 * plasma_share, 0.2),
    )
    curve = (h / plasma_share).float() @ convolution.matrix
    np.testing.assert_allclose(curve[0].numpy(), truth, atol=0.004 * truth.max())


def test_weights_of_a_front_sum_to_its_distance_wherever_it_falls():
    grid = torch.arange(-5.0, 20.0, STEP_S, dtype=torch.float64)
    for onset in (0.0, 0.1, 0.37, 0.49):
        total = fronts(grid - onset)[0].sum() * STEP_S
        assert total.item() == pytest.approx(20.0 - STEP_S / 2.0 - onset, abs=1e-6)
