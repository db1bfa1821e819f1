"""Learns which outlines deserve trust: lines from signs of doubt to overlaps with the truth."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Generator, Tensor

from pipeline.margins import as_drawn
from pipeline.networks import CLASSES, GRID_MM, SpaceTimeUNet, turned_copies
from pipeline.networks.certainty import POOL, SIGNS, WALL, lack, signs
from pipeline.result import Regions
from pipeline.study import IntArray
from pipeline.training.appearance import Randomiser
from pipeline.training.score import dice

_ROUNDS = 3
"""Appearances drawn for each example."""
_BATCH = 4
_STIFFNESS = 1e-3
EXPECTATION = "dice_of_signs"
"""Name of the lines among the weights."""


def without_expectation(weights: Mapping[str, Tensor]) -> SpaceTimeUNet:
    """Build the network that trained weights make, whatever they expected of it so far.

    Raises
    ------
    RuntimeError
        The weights are another network's.
    """
    network = SpaceTimeUNet()
    network.load_state_dict({**weights, EXPECTATION: network.dice_of_signs})
    return network


@torch.inference_mode()
def fit_expectation(
    network: SpaceTimeUNet, frames: Tensor, shares: Tensor, heat: Tensor, seed: int = 0
) -> Tensor:
    """Fit what each of `SIGNS` foretells of the overlaps of wall and cavity [region, sign]."""
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
                seen.append(signs(copies))
                true.append(_overlaps(copies.mean(dim=0).argmax(dim=0), classes.argmax(dim=0)))
    return _lines(torch.stack(seen).double(), lack(torch.stack(true).double())).float()


def _overlaps(found: Tensor, truth: Tensor) -> Tensor:
    """Dice of wall and cavity as they are outlined [region]."""
    mine, known = (_drawn(labels.cpu().numpy()) for labels in (found, truth))
    overlaps = [dice(mine.myocardium, known.myocardium), dice(mine.lv_pool, known.lv_pool)]
    return torch.tensor(overlaps, device=found.device)


def _drawn(labels: IntArray) -> Regions:
    regions = Regions(
        myocardium=labels == WALL, lv_pool=labels == POOL, rv_pool=np.zeros(labels.shape, bool)
    )
    return as_drawn(regions, (GRID_MM, GRID_MM))


def _lines(signs_of: Tensor, lacks: Tensor) -> Tensor:
    """Least squares, held a little towards no slope so that few examples do not run away."""
    stiffness = _STIFFNESS * len(signs_of) * torch.eye(len(SIGNS)).to(signs_of)
    stiffness[-1, -1] = 0
    return torch.linalg.solve(signs_of.T @ signs_of + stiffness, signs_of.T @ lacks).T
