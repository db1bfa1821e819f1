"""Learns which outlines deserve trust: a line from signs of doubt to the overlap with the truth."""

import torch
from torch import Generator, Tensor

from pipeline.networks import CLASSES, SpaceTimeUNet, turned_copies
from pipeline.networks.certainty import SIGNS, signs
from pipeline.training.appearance import Randomiser

_ROUNDS = 3
"""Appearances drawn for each example."""
_BATCH = 4
_STIFFNESS = 1e-3
_WALL = CLASSES.index("myocardium")


@torch.inference_mode()
def fit_expectation(
    network: SpaceTimeUNet, frames: Tensor, shares: Tensor, heat: Tensor, seed: int = 0
) -> Tensor:
    """Fit how much each of `SIGNS` foretells of the overlap [sign], on examples never learned from.

    `frames`, `shares` and `heat` are those of `Example`, with a batch before them.
    """
    randomise = Randomiser(Generator(device=frames.device).manual_seed(seed))
    network.eval()
    seen: list[Tensor] = []
    true: list[Tensor] = []
    for _ in range(_ROUNDS):
        for first in range(0, len(frames), _BATCH):
            part = slice(first, first + _BATCH)
            batch = randomise(frames[part], shares[part], heat[part])
            for series, classes in zip(batch.series, batch.classes, strict=True):
                copies = turned_copies(network, series)[:, : len(CLASSES)].softmax(dim=1)
                found = copies.mean(dim=0).argmax(dim=0) == _WALL
                wall = classes.argmax(dim=0) == _WALL
                seen.append(signs(copies))
                true.append(2 * (found & wall).sum() / (found.sum() + wall.sum()).clamp_min(1))
    return _line(torch.stack(seen).double(), torch.stack(true).double()).float()


def _line(signs_of: Tensor, overlaps: Tensor) -> Tensor:
    """Least squares, held a little towards no slope so that few examples do not run away."""
    stiffness = _STIFFNESS * len(signs_of) * torch.eye(len(SIGNS)).double()
    stiffness[-1, -1] = 0
    return torch.linalg.solve(signs_of.T @ signs_of + stiffness, signs_of.T @ overlaps)
