import math

import torch

from pipeline.networks import GRID_MM
from pipeline.training.cavity import close_cavity, narrowing

_SIDE, _POOL_RADIUS, _WALL_RADIUS = 80, 14.0, 22.0


def _heart() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A bright round pool in a grey wall before a dark lung: series, pool, wall."""
    along = torch.arange(_SIDE) - (_SIDE - 1) / 2
    radius = torch.hypot(along[:, None], along[None])
    pool = (radius < _POOL_RADIUS).float()
    wall = (radius < _WALL_RADIUS).float() - pool
    return (5 * pool + 2 * wall)[None, None], pool[None], wall[None]


def _closed_by(share: float, order: int = 1, unevenness: float = 0.0) -> torch.Tensor:
    waves = torch.zeros(1, 6, 2)
    waves[0, order - 1, 0] = unevenness
    return narrowing(torch.tensor([share]), waves)


def test_a_cavity_that_is_not_narrowed_stays_as_it_was():
    series, pool, wall = _heart()
    torch.testing.assert_close(
        close_cavity(series, pool, wall, _closed_by(0.0)), series, atol=1e-4, rtol=0
    )


def test_three_tenths_of_the_radius_leave_half_of_the_blood():
    series, pool, wall = _heart()
    closed = close_cavity(series, pool, wall, _closed_by(0.3))
    assert math.isclose((closed > 3.5).sum() / pool.sum(), 0.49, abs_tol=0.03)


def test_muscles_make_no_layer_deeper_than_eight_millimetres():
    series, pool, wall = _heart()
    closed = close_cavity(series, pool, wall, _closed_by(0.7))
    left_mm = GRID_MM * math.sqrt((closed > 3.5).sum() / math.pi)
    assert math.isclose(GRID_MM * _POOL_RADIUS - left_mm, 8.0, abs_tol=0.4)


def test_between_what_is_left_of_the_blood_and_the_epicardium_all_is_wall_without_a_seam():
    series, pool, wall = _heart()
    closed = close_cavity(series, pool, wall, _closed_by(0.3))
    along = torch.arange(_SIDE) - (_SIDE - 1) / 2
    radius = torch.hypot(along[:, None], along[None])
    ring = (radius > 0.7 * _POOL_RADIUS + 2) & (radius < _WALL_RADIUS - 2)
    torch.testing.assert_close(closed[0, 0, ring], torch.full_like(closed[0, 0, ring], 2.0))


def test_nothing_outside_the_wall_moves():
    series, pool, wall = _heart()
    torch.manual_seed(1)
    series = series + torch.rand_like(series)
    closed = close_cavity(series, pool, wall, _closed_by(0.5, order=3, unevenness=0.5))
    outside = (pool + wall)[0] == 0
    inner = torch.nn.functional.max_pool2d((pool + wall)[None], 5, 1, 2)[0, 0] == 0
    assert outside[inner].all()
    torch.testing.assert_close(closed[0, 0, inner], series[0, 0, inner], atol=1e-4, rtol=0)


def test_the_first_order_leaves_the_blood_on_one_side():
    series, pool, wall = _heart()
    closed = close_cavity(series, pool, wall, _closed_by(0.4, order=1, unevenness=0.9))
    columns = (closed[0, 0] > 3.5).nonzero()[:, 1].float() - (_SIDE - 1) / 2
    assert columns.mean() < -2  # narrowed most at angle 0, which is to the right


def test_where_there_is_no_cavity_nothing_is_closed():
    series, pool, wall = _heart()
    nothing = torch.zeros_like(pool)
    assert close_cavity(series, nothing, wall, _closed_by(0.5)) is not None
    torch.testing.assert_close(close_cavity(series, nothing, wall, _closed_by(0.5)), series)
