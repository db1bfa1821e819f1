"""How sure turned copies of one slice make us of its outlines, and the overlap to be expected."""

import torch
from torch import Tensor

from pipeline.networks.unet import CLASSES

_WALL, _POOL = CLASSES.index("myocardium"), CLASSES.index("lv pool")
SIGNS = (
    "entropy of the ventricle over the area of its wall",
    "overlap of the copies' walls with the wall of their mean",
    "overlap of the wall with its probability",
    "overlap of the cavity with its probability",
    "pixels of the wall's edges over its area",
    "one",
)
"""What tells good from bad outlines when no truth is known."""


def signs(copies: Tensor) -> Tensor:
    """Measure `SIGNS` on the probabilities of turned copies [copy, class, row, column]."""
    mean = copies.mean(dim=0)
    seen = mean.argmax(dim=0)
    wall, pool = seen == _WALL, seen == _POOL
    area = wall.sum().clamp_min(1)
    entropy = torch.special.entr(mean).sum(dim=0)[wall | pool].sum() / area
    walls = copies.argmax(dim=1) == _WALL
    shared = 2 * (walls & wall).sum(dim=(1, 2)) / (walls.sum(dim=(1, 2)) + area)
    edge = (wall[1:] != wall[:-1]).sum() + (wall[:, 1:] != wall[:, :-1]).sum()
    return torch.stack(
        [
            entropy,
            shared.mean(),
            _overlap(wall, mean[_WALL]),
            _overlap(pool, mean[_POOL]),
            edge / area,
            torch.ones(()),
        ]
    )


def _overlap(mask: Tensor, probability: Tensor) -> Tensor:
    """Dice to be expected if the probabilities are right."""
    return 2 * probability[mask].sum() / (mask.sum() + probability.sum()).clamp_min(1e-3)
