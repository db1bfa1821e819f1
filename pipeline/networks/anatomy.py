"""The trained network at work: what each pixel is, and how sure turned copies are of it."""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

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
    disagreement: FloatArray
    """SD of the probability of myocardium between turned copies [row, column]."""
    doubt: float
    """Entropy of the classes summed over the left ventricle, per pixel of its wall [nat]."""


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
        logits = self._network(torch.stack([_turn(series, *turn) for turn in _TURNS]))
        upright = torch.stack(
            [_turn_back(one, *turn) for one, turn in zip(logits, _TURNS, strict=True)]
        )
        classes = upright[:, : len(CLASSES)].softmax(dim=1)
        mean = classes.mean(dim=0)
        maps = torch.cat(
            [mean, upright[:, -1:].sigmoid().mean(dim=0), classes[:, 1].std(dim=0)[None]]
        )
        on_source = from_grid(maps, centre, spacing_mm, (frames.shape[1], frames.shape[2]))
        return Prediction(
            classes=on_source[: len(CLASSES)],
            insertion=on_source[-2],
            disagreement=on_source[-1],
            doubt=_doubt(mean),
        )


def _turn(series: Tensor, flip: bool, quarter: int) -> Tensor:  # noqa: FBT001  of a tuple of turns
    return torch.rot90(series.flip(-1) if flip else series, quarter, (-2, -1))


def _turn_back(maps: Tensor, flip: bool, quarter: int) -> Tensor:  # noqa: FBT001  as above
    upright = torch.rot90(maps, -quarter, (-2, -1))
    return upright.flip(-1) if flip else upright


def _doubt(classes: Tensor) -> float:
    seen = classes.argmax(dim=0)
    wall = seen == CLASSES.index("myocardium")
    ventricle = wall | (seen == CLASSES.index("lv pool"))
    entropy = torch.special.entr(classes).sum(dim=0)
    return float(entropy[ventricle].sum() / wall.sum().clamp_min(1))
