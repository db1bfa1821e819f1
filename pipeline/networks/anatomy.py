"""The trained network at work: what each pixel is, and how far to trust that."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.networks.certainty import expected_overlaps
from pipeline.networks.grid import from_grid, to_grid
from pipeline.networks.unet import CLASSES, SpaceTimeUNet
from pipeline.study import FloatArray

_TURNS = tuple((flip, quarter) for flip in (False, True) for quarter in range(4))


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """What the network sees in one slice, on the pixels of the series; NaN outside its grid."""

    classes: FloatArray
    """Probability of each of `CLASSES` [class, row, column]."""
    insertion: FloatArray
    """1 at an insertion point, falling off around it [row, column]."""
    expected_dice: tuple[float, float]
    """Overlap of the wall and of the cavity with the truth that is to be expected, 0 to 1."""


class AnatomyNetwork:
    """The segmentation network with its weights."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        """Build the network; raises RuntimeError where the weights are another network's."""
        self._network = SpaceTimeUNet()
        self._network.load_state_dict(dict(weights))
        self._network.eval()

    @torch.inference_mode()
    def look(
        self,
        frames: FloatArray,
        time_s: FloatArray,
        peak_s: float,
        centre: tuple[float, float],
        spacing_mm: tuple[float, float],
    ) -> FloatArray:
        """One quick look: probability of each class on the pixels of the series.

        Parameters
        ----------
        frames : [time, row, column]
        time_s : [time]
        peak_s
            Time of peak enhancement of the left ventricle, within a few seconds.
        centre
            Of the heart, (row, column), within a few millimetres.
        spacing_mm
            Between rows, between columns.
        """
        series = to_grid(frames, time_s, peak_s, centre, spacing_mm)
        classes = self._network(series[None])[0, : len(CLASSES)].softmax(dim=0)
        return from_grid(classes, centre, spacing_mm, (frames.shape[1], frames.shape[2]))

    @torch.inference_mode()
    def predict(
        self,
        frames: FloatArray,
        time_s: FloatArray,
        peak_s: float,
        centre: tuple[float, float],
        spacing_mm: tuple[float, float],
    ) -> Prediction:
        """Look at the series turned and mirrored in all eight ways and take the mean.

        The parameters are those of `look`.
        """
        series = to_grid(frames, time_s, peak_s, centre, spacing_mm)
        upright = turned_copies(self._network, series)
        classes = upright[:, : len(CLASSES)].softmax(dim=1)
        mean = classes.mean(dim=0)
        maps = torch.cat([mean, upright[:, -1:].sigmoid().mean(dim=0)])
        wall, pool = expected_overlaps(classes, self._network.dice_of_signs)
        on_source = from_grid(maps, centre, spacing_mm, (frames.shape[1], frames.shape[2]))
        return Prediction(
            classes=on_source[: len(CLASSES)],
            insertion=on_source[-1],
            expected_dice=(float(wall), float(pool)),
        )


def turned_copies(network: SpaceTimeUNet, series: Tensor) -> Tensor:
    """Logits of eight turned and mirrored copies of one series [copy, channel, row, column]."""
    logits = network(torch.stack([_turn(series, *turn) for turn in _TURNS]))
    return torch.stack([_turn_back(one, *turn) for one, turn in zip(logits, _TURNS, strict=True)])


def _turn(series: Tensor, flip: bool, quarter: int) -> Tensor:  # noqa: FBT001  of a tuple of turns
    return torch.rot90(series.flip(-1) if flip else series, quarter, (-2, -1))


def _turn_back(maps: Tensor, flip: bool, quarter: int) -> Tensor:  # noqa: FBT001  as above
    upright = torch.rot90(maps, -quarter, (-2, -1))
    return upright.flip(-1) if flip else upright
