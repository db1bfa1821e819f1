"""The guard: is the series better off, and which frames must not be used."""

from torch import Tensor
from torch.nn import functional

from pipeline.motion.bulk import RANK
from pipeline.motion.canvas import Canvas
from pipeline.motion.subspace import contrast_basis, unexplained, weigh
from pipeline.motion.warp import translate

NEEDED_GAIN = 0.05
"""Alignment is kept where it takes away at least this share of what contrast does not explain."""

OUTLIER_RATIO = 5.0
"""A frame that contrast explains so many times worse than its neighbours in time is an outlier."""

OUTLIER_SHARE = 0.02
"""And at least this share of its variance is explained by no mixture of contrast."""

NEIGHBOURS_EACH_SIDE = 4


def residual(canvas: Canvas, shift: Tensor) -> Tensor:
    """Share of each frame that contrast alone does not explain, after translation [time]."""
    vectors = weigh(translate(canvas.images, shift, canvas.margin, canvas.size), canvas.weight)
    return unexplained(vectors, contrast_basis(vectors, canvas.weight, RANK))


def is_better(before: Tensor, after: Tensor) -> bool:
    """Whether alignment explains the series better by more than fitting noise could."""
    return bool(after.mean() < (1 - NEEDED_GAIN) * before.mean())


def usable(left: Tensor) -> Tensor:
    """1 for frames that belong to the series, 0 for those that fit it nowhere [time].

    A frame is compared with its neighbours: before the bolus, where the heart is dark, noise alone
    leaves more unexplained than anywhere later.
    """
    reach = min(NEIGHBOURS_EACH_SIDE, left.numel() - 1)
    padded = functional.pad(left[None, None], (reach, reach), mode="reflect")[0, 0]
    typical = padded.unfold(0, 2 * reach + 1, 1).median(dim=1).values
    outlier = (left > OUTLIER_RATIO * typical) & (left > OUTLIER_SHARE)
    return 1 - outlier.to(left.dtype)
