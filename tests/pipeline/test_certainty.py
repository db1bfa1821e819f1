import pytest
import torch

from pipeline.networks import SIDE
from pipeline.networks.certainty import SIGNS, expected_overlaps, lack, signs
from pipeline.networks.unet import N_SIGNS

AS_THEY_SAY = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""Lines that take the doubts at their word."""


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
    assert expected_overlaps(copies_of(18, 0.05, 0), AS_THEY_SAY).min() > 0.98


def test_copies_that_differ_and_edges_that_are_soft_are_told_apart_from_clear_ones():
    clear = expected_overlaps(copies_of(18, 0.3, 0), AS_THEY_SAY)
    for worse in (copies_of(18, 2.0, 0), copies_of(18, 0.3, 1.5)):
        assert (expected_overlaps(worse, AS_THEY_SAY) < clear - 0.02).all()


def test_overlaps_are_those_of_the_truth_if_the_probabilities_are_right():
    """Copies that are each drawn from the truth's distribution tell how far it will lie off."""
    rings = [(copies_of(18 + shift, 0.05, 0)[0]) for shift in torch.linspace(-1.5, 1.5, 8)]
    copies = torch.stack(rings)
    seen = copies.mean(dim=0).argmax(dim=0)
    true = [
        torch.stack(
            [
                2 * ((seen == one) & (ring.argmax(dim=0) == one)).sum()
                / ((seen == one).sum() + (ring.argmax(dim=0) == one).sum())
                for one in (1, 2)
            ]
        )
        for ring in rings
    ]  # fmt: skip
    expected = expected_overlaps(copies, AS_THEY_SAY)
    torch.testing.assert_close(expected, torch.stack(true).mean(dim=0), atol=0.03, rtol=0)


def test_errors_that_differ_by_a_factor_lie_equally_far_apart():
    far, near = lack(torch.tensor([0.6, 0.8])), lack(torch.tensor([0.9, 0.95]))
    assert float(far[0] - far[1]) == pytest.approx(float(near[0] - near[1]), rel=1e-5)
    assert torch.isfinite(lack(torch.ones(1))).all()


def test_an_empty_picture_gives_finite_signs_and_no_overlap():
    nothing = torch.zeros(8, 4, SIDE, SIDE)
    nothing[:, 0] = 1
    assert torch.isfinite(signs(nothing)).all()
    assert (expected_overlaps(nothing, AS_THEY_SAY) == 0).all()
