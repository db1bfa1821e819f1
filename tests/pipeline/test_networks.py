import numpy as np
import pytest
import torch

from pipeline.networks import (
    CLASSES,
    GRID_MM,
    N_TIMES,
    SIDE,
    SpaceTimeUNet,
    at_times,
    from_grid,
    normalise,
    to_grid,
)
from tests.short_axis import SPACING_MM, draw


def test_frames_between_two_moments_are_their_mixture_and_outside_it_stands_still():
    frames = torch.tensor([0.0, 10.0, 30.0]).reshape(3, 1, 1)
    time_s = torch.tensor([1.0, 2.0, 4.0])
    wanted = torch.tensor([0.0, 1.5, 3.0, 9.0])
    assert at_times(frames, time_s, wanted).flatten().tolist() == [0.0, 5.0, 20.0, 30.0]


@pytest.mark.parametrize("spacing_mm", [(1.2, 1.2), (2.4, 1.8)])
def test_what_goes_to_the_grid_and_back_stays_in_its_place(spacing_mm):
    rows, columns = np.indices((100, 90))
    down, right = (rows - 47.0) * spacing_mm[0], (columns - 41.0) * spacing_mm[1]
    blob = np.exp(-(down**2 + (right - 8) ** 2) / 300)
    frames = np.stack([blob * level for level in (0.0, 1.0, 1.0)])
    grid = to_grid(frames, np.arange(3.0), 1.0, (47.0, 41.0), spacing_mm)
    back = from_grid(grid, (47.0, 41.0), spacing_mm, (100, 90))[-1]
    inside = np.isfinite(back)
    assert inside[47, 41]
    fitted = back[inside] / back[inside].max()
    assert np.abs(fitted - blob[inside] / blob[inside].max()).max() < 0.05


def test_outside_the_grid_there_is_no_answer():
    far = int(SIDE * GRID_MM)
    back = from_grid(torch.ones(2, SIDE, SIDE), (far, far), (1.0, 1.0), (2 * far, 2 * far))
    assert back.shape == (2, 2 * far, 2 * far)
    assert np.isnan(back[:, 0, 0]).all()
    assert (back[:, far, far] == 1).all()


def test_vendor_scaling_does_not_reach_the_network():
    drawn = draw(size=96)
    series = torch.from_numpy(drawn.frames[:N_TIMES, :SIDE, :SIDE])[None]
    assert torch.allclose(normalise(series), normalise(series * 750), atol=1e-5)


def test_a_constant_series_is_normalised_without_division_by_zero():
    assert torch.isfinite(normalise(torch.ones(1, N_TIMES, SIDE, SIDE))).all()


def test_the_network_answers_every_pixel_with_every_class_and_the_points():
    logits = SpaceTimeUNet(widths=(8, 8, 8, 8))(torch.zeros(2, N_TIMES, SIDE, SIDE))
    assert logits.shape == (2, len(CLASSES) + 1, SIDE, SIDE)


def test_neighbours_in_a_batch_do_not_change_each_other():
    torch.manual_seed(0)
    network = SpaceTimeUNet(widths=(8, 8, 8, 8)).eval()
    series = torch.rand(3, N_TIMES, 32, 32)
    together = network(series)
    assert torch.allclose(together[1], network(series[1:2])[0], atol=1e-5)


def test_series_of_any_length_and_rate_have_the_same_input_shape():
    drawn = draw()
    for step in (1, 3):
        grid = to_grid(drawn.frames[::step], drawn.time_s[::step], 14.0, (64.0, 64.0), SPACING_MM)
        assert grid.shape == (N_TIMES, SIDE, SIDE)
        assert torch.isfinite(grid).all()
