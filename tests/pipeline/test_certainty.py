import torch

from pipeline.networks import SIDE
from pipeline.networks.certainty import SIGNS, signs
from pipeline.networks.unet import N_SIGNS


def copies_of(radius, softness, jitter):
    """Probabilities of eight copies of one ring that is `radius` wide outside."""
    along = torch.arange(SIDE) - (SIDE - 1) / 2
    distance = (along[:, None] ** 2 + along[None] ** 2).sqrt()
    made = []
    for number in range(8):
        outer = radius + jitter * (-1) ** number
        within = torch.sigmoid((outer - distance) / softness)
        pool = torch.sigmoid((outer - 6 - distance) / softness)
        made.append(torch.stack([1 - within, within - pool, pool, 0 * pool]))
    return torch.stack(made)


def test_every_sign_is_measured():
    assert signs(copies_of(18, 0.3, 0)).shape == (len(SIGNS),) == (N_SIGNS,)


def test_sharp_copies_that_agree_leave_no_doubt():
    entropy, shared, wall, pool, _, one = signs(copies_of(18, 0.05, 0))
    assert entropy < 0.05
    assert shared == 1
    assert min(wall, pool) > 0.98
    assert one == 1


def test_copies_that_differ_and_edges_that_are_soft_are_told_apart_from_clear_ones():
    clear = signs(copies_of(18, 0.3, 0))
    for worse in (signs(copies_of(18, 2.0, 0)), signs(copies_of(18, 0.3, 1.5))):
        assert worse[0] > clear[0]
        assert worse[2] < clear[2]
    assert signs(copies_of(18, 0.3, 1.5))[1] < 0.9


def test_an_empty_picture_gives_finite_signs():
    nothing = torch.zeros(8, 4, SIDE, SIDE)
    nothing[:, 0] = 1
    assert torch.isfinite(signs(nothing)).all()
