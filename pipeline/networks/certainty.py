"""How sure turned copies of one slice make us of its outlines, and the overlaps to be expected.

If the probabilities are right, they tell how much of an outline is wrong; the mean of turned copies
is less sure of itself than one copy is, and comes close. What is left is learned: a line from the
logarithms of these doubts to the logarithm of what the overlap lacks.
"""

import torch
from torch import Tensor

from pipeline.networks.unet import CLASSES

WALL, POOL = CLASSES.index("myocardium"), CLASSES.index("lv pool")
SIGNS = ("doubt of the wall", "doubt of the cavity", "one")
"""What tells good from bad outlines when no truth is known."""
_LEAST = 0.003
"""No overlap is known better, and its logarithm would run away."""


def signs(copies: Tensor) -> Tensor:
    """Measure `SIGNS` on the probabilities of turned copies [copy, class, row, column]."""
    mean = copies.mean(dim=0)
    seen = mean.argmax(dim=0)
    overlaps = torch.stack([_overlap(seen == one, mean[one]) for one in (WALL, POOL)])
    return torch.cat([lack(overlaps), torch.ones(1, device=copies.device)])


def lack(overlaps: Tensor) -> Tensor:
    """Logarithm of what overlaps lack: their errors differ by factors, not by differences."""
    return (1 - overlaps).clamp_min(_LEAST).log()


def expected_overlaps(copies: Tensor, dice_of_signs: Tensor) -> Tensor:
    """Dice of the wall and of the cavity with the truth that is to be expected, 0 to 1."""
    return (1 - (dice_of_signs @ signs(copies)).exp()).clamp(0, 1)


def _overlap(mask: Tensor, probability: Tensor) -> Tensor:
    """Dice to be expected if the probabilities are right; 0 of nothing."""
    return 2 * probability[mask].sum() / (mask.sum() + probability.sum()).clamp_min(1e-3)
