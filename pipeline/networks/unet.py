"""A compact U-Net that sees the whole first pass at once: the times are the input channels.

The recipe of Xue et al., Radiol Artif Intell 2020;2(6):e200009, doi 10.1148/ryai.2020200009: in
one frame the myocardium looks different on every scanner; over time, the order of enhancement
tells right ventricle, left ventricle and wall apart on all of them.
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

CLASSES = ("background", "myocardium", "lv pool", "rv pool")
N_TIMES = 16
WIDTHS = (32, 64, 128, 192)
"""Multiples of 32 suit the matrix units of processors."""
N_SIGNS = 3
"""Of `pipeline.networks.certainty`."""
_GROUPS = 8


class SpaceTimeUNet(nn.Module):
    """[batch, time, row, column] to [batch, class + 1, row, column].

    The first channels are the logits of `CLASSES`; the last one is the logit of being near an
    insertion point of the right ventricular wall. Rows and columns must be multiples of 8.
    """

    dice_of_signs: Tensor
    """Weights of the signs of doubt in what the overlaps of wall and cavity lack; learned last
    [region, sign]."""

    def __init__(self, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            _block(before, after) for before, after in zip((N_TIMES, *widths), widths, strict=False)
        )
        self.up = nn.ModuleList(_block(fine + coarse, fine) for fine, coarse in pairwise(widths))
        self.register_buffer("dice_of_signs", torch.zeros(2, N_SIGNS))
        self.head = nn.Conv2d(widths[0], len(CLASSES) + 1, kernel_size=1)

    def forward(self, series: Tensor) -> Tensor:
        """Compute the logits."""
        kept: list[Tensor] = []
        features = series
        for level, block in enumerate(self.down):
            features = block(features if level == 0 else functional.max_pool2d(features, 2))
            kept.append(features)
        for level in reversed(range(len(self.up))):
            larger = functional.interpolate(features, scale_factor=2.0, mode="nearest")
            features = self.up[level](torch.cat([kept[level], larger], dim=1))
        logits: Tensor = self.head(features)
        return logits


def _block(before: int, after: int) -> nn.Sequential:
    """Two convolutions; group normalisation does not depend on the batch."""
    return nn.Sequential(
        nn.Conv2d(before, after, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(after, after, 3, padding=1, bias=False),
        nn.GroupNorm(_GROUPS, after),
        nn.SiLU(),
    )
