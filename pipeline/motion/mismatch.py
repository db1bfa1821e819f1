"""How frames differ from their mean edges, and how displacing them would change that."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pipeline.motion.edges import Canvas


@dataclass(frozen=True, kw_only=True, eq=False)
class Mismatch:
    """Edges of each frame beyond the template, and their slopes [slice, time, 3, row, column]."""

    rest: Tensor
    down: Tensor
    """Change of the edges per pixel of displacement along rows."""
    across: Tensor


def mismatch(canvas: Canvas, edges: Tensor, learn: Tensor) -> Mismatch:
    """Compare edges in the window with their mean.

    Only what the template does not explain counts, in edges and in their slopes, so that a frame
    with weaker edges than others is not displaced by that.

    Parameters
    ----------
    canvas
        Where the edges come from.
    edges
        Displaced edges of unit length [slice, time, 3, row, column].
    learn
        Frames that make the template [slice, time].
    """
    chosen = learn.to(edges.dtype)[:, :, None, None, None]
    template = canvas.unit((edges * chosen).sum(1, keepdim=True)).expand_as(edges)
    rest, down, across = (
        part - canvas.product(part, template)[:, :, None, None, None] * template
        for part in (edges, *torch.gradient(edges, dim=(-2, -1)))
    )
    return Mismatch(rest=rest, down=down, across=across)
