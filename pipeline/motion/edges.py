"""What is compared: where edges are and how they run, not how bright either side is.

Gadolinium changes every brightness in the heart and turns dark-to-bright into bright-to-dark, but
it leaves edges where the tissues meet. The normalised gradient n = grad I / sqrt(|grad I|^2 + e^2)
has no brightness left, and the product of its two components with themselves has no sign left:
q = (n_r n_r, n_c n_c, sqrt 2 n_r n_c), so that <q, q'> = <n, n'>^2, the similarity of normalised
gradient fields (doi 10.1007/11866763_89), is an inner product. Frames of all contrasts can then be
averaged to one template, and searched for with correlations.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.motion.warp import displace, translate
from pipeline.result import Box

TAPER = 0.25
"""Share of the window, on each side, over which its pixels fade out of the comparison."""

SURROUNDINGS_MM = 10.0
"""How far the window reaches beyond the heart box: before the bolus the heart itself is dark, and
the outline of the epicardium against lung and fat is all there is to hold on to."""

SMOOTHING_PIXELS = 0.5
"""SD of the Gaussian before gradients are taken; more of it costs precision (docs/motion.md)."""

FADE_PIXELS = 16
"""A deformation ends so far beyond the window; shorter, and tissue there would fold."""

NOISE_LEVEL = 4.0
"""e^2 over the median of |grad I|^2: most pixels hold noise, and their edges shall not count."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Canvas:
    """Edges of several slices around their heart boxes, on windows of one common size."""

    edges: Tensor
    """[slice, time, 3, row, column]: the window with its margin on every side."""
    weight: Tensor
    """[slice, row, column of the window]: 1 in the middle, 0 outside the box's surroundings."""
    margin: tuple[int, int]
    """How far a frame can be displaced along rows and columns [pixel]; the window begins there."""
    spacing_mm: tuple[float, float]
    """Between rows, between columns."""

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of the window."""
        return self.weight.shape[-2], self.weight.shape[-1]

    def only(self, frames: slice) -> "Canvas":
        """Return the canvas of some of the frames."""
        return replace(self, edges=self.edges[:, frames])

    def moved(self, shift: Tensor, field: Tensor | None = None) -> Tensor:
        """Return the edges in the window after displacement.

        Parameters
        ----------
        shift
            [slice, time, 2].
        field
            Displacement beyond shift [slice, time, 2, row, column of the window].
        """
        if field is None:
            return translate(self.edges, shift, self.margin, self.size)
        whole = field + shift[..., None, None]
        return displace(self.edges, whole, self.margin)

    def outspread(self, field: Tensor, box: Box, size: tuple[int, int]) -> Tensor:
        """Continue a field of the window of one slice to whole images of `size`.

        Parameters
        ----------
        field
            [time, 2, row, column of the window].
        box
            The box of the slice.

        Returns
        -------
        [time, 2, row, column]; beyond the window the field fades to zero.
        """
        first = _corner(box, self.size)
        rows, row_fade = _continued(size[0], first[0], self.size[0], like=field)
        columns, column_fade = _continued(size[1], first[1], self.size[1], like=field)
        return field[..., rows, :][..., columns] * row_fade[:, None] * column_fade

    def product(self, one: Tensor, other: Tensor) -> Tensor:
        """Inner product under the window: [slice, time, 3, row, column] each, to [slice, time]."""
        return ((one * other).sum(2) * self.weight[:, None]).sum((-2, -1))

    def unit(self, edges: Tensor) -> Tensor:
        """Scale each frame's edges to length 1; a frame without any stays 0."""
        length = self.product(edges, edges).sqrt().clamp_min(1e-6)
        return edges / length[:, :, None, None, None]


def prepare(
    frames: Tensor, boxes: Sequence[Box], spacing_mm: tuple[float, float], reach_mm: float
) -> Canvas:
    """Cut a window around each box and take its edges.

    Parameters
    ----------
    frames
        [slice, time, row, column].
    boxes
        The heart of each slice.
    spacing_mm
        Between rows, between columns.
    reach_mm
        How far a frame can be displaced.
    """
    around = [round(SURROUNDINGS_MM / spacing) for spacing in spacing_mm]
    margin = (round(reach_mm / spacing_mm[0]), round(reach_mm / spacing_mm[1]))
    inner = [(box.shape[0] + 2 * around[0], box.shape[1] + 2 * around[1]) for box in boxes]
    size = (max(rows for rows, _ in inner), max(columns for _, columns in inner))
    cut = torch.stack(
        [_cut(series, box, size, margin) for series, box in zip(frames, boxes, strict=True)]
    )
    weight = torch.stack([_window(shape, size, like=frames) for shape in inner])
    return Canvas(edges=_edges(cut, margin), weight=weight, margin=margin, spacing_mm=spacing_mm)


def _cut(frames: Tensor, box: Box, size: tuple[int, int], margin: tuple[int, int]) -> Tensor:
    """Take the window of `size` around the box with its margin [time, row, column].

    Outside the image its border continues: no edge is invented there.
    """
    first = _corner(box, size)
    ranges = [
        torch.arange(start - away, start + n + away, device=frames.device).clamp(0, last - 1)
        for start, n, away, last in zip(first, size, margin, frames.shape[-2:], strict=True)
    ]
    return frames[:, ranges[0]][:, :, ranges[1]]


def _corner(box: Box, size: tuple[int, int]) -> tuple[int, int]:
    """First row and column of a window of `size` around a box."""
    return (
        (box.row_start + box.row_stop - size[0]) // 2,
        (box.column_start + box.column_stop - size[1]) // 2,
    )


def _continued(total: int, first: int, n: int, *, like: Tensor) -> tuple[Tensor, Tensor]:
    """Nearest pixel of the window for each pixel of an axis, and how much of it remains there."""
    at = torch.arange(total, device=like.device) - first
    nearest = at.clamp(0, n - 1)
    beyond = (at - nearest).abs().to(like.dtype) / FADE_PIXELS
    return nearest, 0.5 + 0.5 * torch.cos(torch.pi * beyond.clamp_max(1.0))


def _edges(images: Tensor, margin: tuple[int, int]) -> Tensor:
    """Squared normalised gradient [..., 3, row, column] of images [..., row, column].

    The square root first evens out the noise of bright and dark tissue's edges.
    """
    smooth = _blur(images.clamp_min(0).sqrt())
    along_rows, along_columns = torch.gradient(smooth, dim=(-2, -1))
    strength = along_rows.square() + along_columns.square()
    middle = strength[..., margin[0] : -margin[0], margin[1] : -margin[1]]
    noise = middle.flatten(-2).median(dim=-1).values[..., None, None]
    norm = strength + NOISE_LEVEL * noise + 1e-12
    products = [along_rows.square(), along_columns.square(), 2**0.5 * along_rows * along_columns]
    return torch.stack([product / norm for product in products], dim=-3)


def _blur(images: Tensor) -> Tensor:
    """Gaussian of `SMOOTHING_PIXELS` along both axes."""
    at = torch.arange(-2, 3, dtype=images.dtype, device=images.device)
    kernel = torch.exp(-0.5 * (at / SMOOTHING_PIXELS) ** 2)
    kernel = kernel / kernel.sum()
    padded = functional.pad(images.flatten(0, -3)[:, None], (2, 2, 2, 2), mode="replicate")
    rows = functional.conv2d(padded, kernel[None, None, :, None])
    return functional.conv2d(rows, kernel[None, None, None, :]).reshape(images.shape)


def _window(inner: tuple[int, int], size: tuple[int, int], *, like: Tensor) -> Tensor:
    """Fade out towards the edges of the inner rectangle, as a raised cosine; 0 beyond it."""

    def along(n: int, total: int) -> Tensor:
        at = torch.arange(total, dtype=like.dtype, device=like.device) + 0.5 - (total - n) // 2
        inside = torch.minimum(at, n - at).clamp_min(0) / max(n * TAPER, 1.0)
        return 0.5 - 0.5 * torch.cos(torch.pi * inside.clamp_max(1.0))

    return along(inner[0], size[0])[:, None] * along(inner[1], size[1])[None, :]
