import torch

from pipeline.kinetics import fermi


def response(time_s, flow, shoulder, steepness):
    values = (torch.tensor([value], dtype=torch.float64) for value in (flow, shoulder, steepness))
    return fermi.impulse_response(torch.as_tensor(time_s, dtype=torch.float64), *values)[0]


def test_value_at_zero_is_the_flow_for_every_shape():
    for shoulder in (0.01, 1.0, 10.0):
        for steepness in (0.02, 0.5, 5.0):
            assert abs(response([0.0], 0.05, shoulder, steepness).item() - 0.05) < 1e-12


def test_steep_fall_is_a_box_as_long_as_the_shoulder():
    values = response([0.0, 2.9, 3.1, 500.0], 0.05, 3.0, 100.0)
    assert torch.allclose(
        values, torch.tensor([0.05, 0.05, 0.0, 0.0], dtype=torch.float64), atol=1e-5
    )


def test_without_shoulder_it_falls_like_an_exponential_in_the_end():
    values = response([20.0, 21.0], 0.05, 0.01, 0.7)
    assert abs((values[1] / values[0]).log().item() + 0.7) < 1e-4
