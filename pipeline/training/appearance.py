"""Random appearance and geometry for batches of examples, so that real series lie inside the cloud.

The phantom draws physics; here its pictures are bent until scanner, coil, dose, cardiac phase and
surroundings say nothing any more and only the order of enhancement does (domain randomisation,
Billot et al., Med Image Anal 2023, doi 10.1016/j.media.2023.102789). Everything is batched and
runs where the batch lies.
"""

import math
from dataclasses import dataclass

import torch
from torch import Generator, Tensor
from torch.nn import functional

from pipeline.networks import GRID_MM, SIDE, TIMES_S, normalise
from pipeline.training.cavity import close_cavity, narrowing
from pipeline.training.examples import FIRST_S, SPACING_MM, STEP_S
from pipeline.training.examples import SIDE as STORED_SIDE

_MYOCARDIUM, _LV, _RV = 1, 2, 3
_SHARP_SHARE, _SHARP_BLUR = 0.4, 0.4
"""So many are left about as sharp as the phantom makes them (SD added, in pixels of the grid), and
with the papillary muscles that it gave them. The others stand for real series."""
_WIDEST_BLUR = 1.7
"""SD of the point spread of real series, likewise: slice thickness, reconstruction and motion left
over make their edges 4 to 5 mm wide."""
_WHOLLY_WALL = 0.9
"""People leave out of the wall what is visibly mixed with blood or lung: on real, blurred series
experts' outlines lie where nine tenths of the signal are the wall's, or more. Where nothing is
blurred, the edge is where it is half wall, as in the phantom's truth."""
_VISIBLY_BLURRED = (0.6, 1.2)
"""SD from which on that begins to be so, and is; in pixels of the grid. The widest pixels that are
in use look like the first one."""
_THINNEST = 0.3
"""Share of wall below which there is none, however thin it may be."""
_CLOSED_SHARE = (0.5, 0.7)
"""So many of the sharp and of the other cavities are closed by muscle,"""
_MOST_CLOSED = 0.55
"""by up to so much of their radius."""
_WAVES = (1.0, 0.7, 0.6, 0.6, 0.4, 0.3)
"""How uneven they are closed, by order round the circle."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch:
    """What one step of training sees."""

    series: Tensor
    """[batch, time, row, column], normalised."""
    classes: Tensor
    """Share of each class in each pixel, as people would draw it, [batch, class, row, column]."""
    heat: Tensor
    """[batch, row, column]; negative in an example whose points are not known."""


class Randomiser:
    """Draws appearance from one generator on one device."""

    def __init__(self, generator: Generator) -> None:
        self._generator = generator
        self._device = generator.device

    def __call__(self, frames: Tensor, stored_shares: Tensor, heat: Tensor) -> Batch:
        """Randomise examples: `frames` [batch, time, row, column], the others as in `Example`."""
        moments = self._times(frames)
        still, jittered = self._places(len(frames))
        series = _warp_frames(moments, jittered)
        known = (heat >= 0).all(dim=(1, 2))
        warped = functional.grid_sample(
            torch.cat([stored_shares.float() / 255, heat.float()[:, None]], dim=1),
            still,
            align_corners=True,
        )
        shares = torch.cat([1 - warped[:, :3].sum(dim=1, keepdim=True), warped[:, :3]], dim=1)
        width, sharp = self._blur_width(len(series))
        series = self._contrast(series, shares)
        series = self._systole(series, shares, sharp)
        series = torch.where(sharp[:, None, None, None], series, self._muscles(series, shares))
        series = self._surroundings(series, shares)
        series = self._border(series, shares)
        series = self._scanner(_blur(series, width))
        gain = self._log_uniform(len(series), 0.8, 1.25)
        return Batch(
            series=normalise(series) * gain[:, None, None, None],
            classes=_as_drawn(_blur(shares, width), width),
            heat=torch.where(known[:, None, None], warped[:, 3], -1.0),
        )

    def _blur_width(self, n: int) -> tuple[Tensor, Tensor]:
        """SD of the added point spread, in pixels of the grid, and who stays sharp [batch]."""
        wide = _WIDEST_BLUR * self._uniform(n).sqrt()  # wide ones are the real ones
        sharp = self._uniform(n) < _SHARP_SHARE
        return torch.where(sharp, _SHARP_BLUR * self._uniform(n), wide), sharp

    def _uniform(self, *shape: int, low: float = 0.0, high: float = 1.0) -> Tensor:
        drawn = torch.rand(shape, generator=self._generator, device=self._device)
        return low + (high - low) * drawn

    def _log_uniform(self, n: int, low: float, high: float) -> Tensor:
        return self._uniform(n, low=math.log(low), high=math.log(high)).exp()

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(shape, generator=self._generator, device=self._device)

    def _smooth(self, n: int, channels: int, cells: int, side: int = SIDE) -> Tensor:
        """Random fields that vary over 1/`cells` of the picture, SD about 1 at the nodes."""
        coarse = self._normal(n, channels, cells + 1, cells + 1)
        if cells < side // 8:  # cubic where it shows, linear where it is only fast
            coarse = functional.interpolate(
                coarse, size=2 * cells + 1, mode="bicubic", align_corners=True
            )
        return functional.interpolate(coarse, size=side, mode="bilinear", align_corners=True)

    def _times(self, frames: Tensor) -> Tensor:
        """Resample with random shift, stretch and cut ends: [batch, N_TIMES, row, column]."""
        n, stored = frames.shape[:2]
        stretch = self._log_uniform(n, 0.55, 1.7)
        shift_s = self._uniform(n, low=-3.0, high=3.0)
        jitter_s = 0.3 * self._normal(n, len(TIMES_S))
        wanted_s = torch.as_tensor(TIMES_S, device=self._device)[None] + jitter_s
        wanted_s = wanted_s * stretch[:, None] + shift_s[:, None]
        first_s = self._uniform(n, low=FIRST_S, high=-5.0)
        last_s = self._uniform(n, low=10.0, high=FIRST_S + STEP_S * (stored - 1))
        place = wanted_s.clamp(first_s[:, None], last_s[:, None])
        place = ((place - FIRST_S) / STEP_S).clamp(0, stored - 1.001).float()
        before = place.long()
        rows = torch.arange(n, device=self._device)[:, None]
        share = (place - before)[:, :, None, None]
        return torch.lerp(frames[rows, before].float(), frames[rows, before + 1].float(), share)

    def _places(self, n: int) -> tuple[Tensor, Tensor]:
        """Draw where to sample: for the labels, and for each frame with motion left over.

        Shapes [batch, row, column, 2] and [batch, time, row, column, 2].
        """
        turn = self._uniform(n, high=2 * math.pi)
        flip = torch.where(self._uniform(n) < 0.5, -1.0, 1.0)
        size = self._log_uniform(n, 0.72, 1.35)[:, None] * self._log_uniform(
            2 * n, 0.93, 1.07
        ).view(n, 2)
        cos, sin = turn.cos(), turn.sin()
        matrix = torch.stack([cos * flip, -sin, sin * flip, cos], dim=1).view(n, 2, 2)
        matrix = matrix / size[:, :, None]
        along = (torch.arange(SIDE, device=self._device) - (SIDE - 1) / 2) * GRID_MM
        offsets = torch.stack(torch.meshgrid(along, along, indexing="xy"), dim=-1).view(1, -1, 2)
        centre = self._uniform(n, 1, 2, low=-14.0, high=14.0)
        bend = 3.5 * self._uniform(n, 1, 1, 1) * self._smooth(n, 2, 5)
        bend = bend + 0.6 * self._uniform(n, 1, 1, 1) * self._smooth(n, 2, 9)
        place_mm = (offsets + centre) @ matrix.transpose(1, 2) + bend.flatten(2).transpose(1, 2)
        still = place_mm.view(n, SIDE, SIDE, 2)
        restless = self._uniform(n, 1, 1, high=1.2) * self._normal(n, len(TIMES_S), 2)
        jump = self._normal(n, len(TIMES_S), 2) * 5.0
        restless = torch.where(self._uniform(n, len(TIMES_S), 1) < 0.04, jump, restless)
        jittered = still[:, None] + restless[:, :, None, None]
        stored_half_mm = (STORED_SIDE - 1) / 2 * SPACING_MM
        return still / stored_half_mm, jittered / stored_half_mm

    def _systole(self, series: Tensor, shares: Tensor, sharp: Tensor) -> Tensor:
        """Press the muscles of some cavities against the wall, outlines unchanged."""
        n = len(series)
        chance = torch.where(sharp, _CLOSED_SHARE[0], _CLOSED_SHARE[1])
        mean = self._uniform(n, high=_MOST_CLOSED) * (self._uniform(n) < chance)
        by_order = torch.as_tensor(_WAVES, device=self._device)[:, None]
        waves = 0.4 * self._normal(n, len(_WAVES), 2) * by_order
        return close_cavity(
            series,
            shares[:, _LV],
            shares[:, _MYOCARDIUM],
            narrowing(mean, waves),
        )

    def _muscles(self, series: Tensor, shares: Tensor) -> Tensor:
        """Turn up to most of the pool into papillary muscle and trabeculae, outlines unchanged."""
        n = len(series)
        # After the contrast was changed: what tells them from the wall in no patient must not here.
        wall = _mean(series, shares[:, _MYOCARDIUM]) * torch.exp(0.1 * self._smooth(n, 1, 10))
        pool = shares[:, _LV]
        depth = _depth(pool)
        lumps = self._smooth(n, 1, 12)[:, 0] + 0.5 * self._smooth(n, 1, 24)[:, 0]
        amount = self._uniform(n, 1, 1, low=-0.5, high=3.0)
        # Over the edge too, where blood shines into the wall: no bright line must be left of it.
        reach = functional.max_pool2d(pool[:, None], 3, stride=1, padding=1)[:, 0]
        reach = (3 * reach).clamp(max=1) * (pool + shares[:, _MYOCARDIUM])
        muscle = torch.sigmoid(6 * (lumps + amount - 4 * depth)) * reach
        series = torch.lerp(series, wall.expand_as(series), muscle[:, None])
        bands = torch.sigmoid(6 * (self._smooth(n, 1, 14)[:, 0] - self._uniform(n, 1, 1, high=3)))
        return torch.lerp(series, wall.expand_as(series), (bands * shares[:, _RV])[:, None] * 0.8)

    def _contrast(self, series: Tensor, shares: Tensor) -> Tensor:
        """Change how much each region enhances and how bright it is, with perfusion defects."""
        n = len(series)
        start = series[:, :1]
        rise = series - start
        enhancing = torch.ones_like(start)
        level = torch.ones_like(start)
        for region, low, high in ((_MYOCARDIUM, 0.4, 2.0), (_LV, 0.6, 1.4), (_RV, 0.5, 1.6)):
            share = shares[:, region : region + 1]
            enhancing = enhancing + share * (self._log_uniform(n, low, high).view(n, 1, 1, 1) - 1)
            level = level + share * (self._log_uniform(n, 0.7, 1.5).view(n, 1, 1, 1) - 1)
        defect = torch.sigmoid(
            4 * (self._smooth(n, 1, 4) - self._uniform(n, 1, 1, 1, low=0.5, high=3))
        )
        depth = self._uniform(n, 1, 1, 1, high=0.9)
        enhancing = enhancing * (1 - depth * defect * shares[:, _MYOCARDIUM : _MYOCARDIUM + 1])
        patchy = torch.exp(0.15 * self._smooth(n, 1, 10))
        base = self._uniform(n, 1, 1, 1, high=0.25) * (shares[:, 1:].sum(dim=1, keepdim=True))
        return (
            start * level
            + base * series.amax(dim=(1, 2, 3), keepdim=True) * 0.3
            + rise * enhancing * patchy
        )

    def _surroundings(self, series: Tensor, shares: Tensor) -> Tensor:
        """Fill what is not heart with random organs that enhance in random ways."""
        n, times = series.shape[:2]
        outside = shares[:, :1]
        series = series * torch.exp(outside * self._uniform(n, 1, 1, 1) * self._smooth(n, 1, 4))
        top = series.flatten(1).amax(dim=1).view(n, 1, 1, 1)
        curves = [_mean(series, shares[:, region]) / top for region in (_MYOCARDIUM, _LV, _RV)]
        late = curves[0].roll(1, dims=1)
        for _ in range(3):
            organ = torch.sigmoid(
                12 * (self._smooth(n, 1, 5) - self._uniform(n, 1, 1, 1, low=0.5, high=3))
            )
            weight = self._uniform(n, 4, 1, 1, 1) * (self._uniform(n, 4, 1, 1, 1) < 0.35)
            curve = (
                weight[:, 0] * late
                + 0.7 * weight[:, 1] * curves[1]
                + 0.5 * weight[:, 2] * curves[2]
            )
            curve = curve + self._uniform(n, 1, 1, 1, high=0.9) ** 2
            series = torch.lerp(series, (curve * top).expand(n, times, SIDE, SIDE), organ * outside)
        return series

    def _border(self, series: Tensor, shares: Tensor) -> Tensor:
        """Lay lung, fat or fluid of any brightness against the heart.

        Without it, the fat that the phantom puts there would be learned as the sign of the
        epicardium, and be missed where real hearts have none.
        """
        n = len(series)
        heart = shares[:, 1:].sum(dim=1, keepdim=True)
        width = 3 + 2 * int(torch.randint(6, (1,), generator=self._generator, device=self._device))
        near = functional.avg_pool2d(heart, width, stride=1, padding=width // 2)
        beside = (6 * near).clamp(0, 1) * (1 - heart).clamp(0, 1)
        top = series.flatten(1).amax(dim=1).view(n, 1, 1, 1)
        tone = (self._smooth(n, 1, 3) * 0.25).relu() * self._uniform(n, 1, 1, 1, high=1.2) * top
        replaced = torch.sigmoid(
            8 * (self._smooth(n, 1, 3) + self._uniform(n, 1, 1, 1, low=-2, high=3))
        )
        return torch.lerp(series, tone.expand_as(series), replaced * beside)

    def _scanner(self, series: Tensor) -> Tensor:
        """Coil shading, display curve, blur and noise."""
        n = len(series)
        shading = self._uniform(n, 1, 1, 1, high=0.45) * self._smooth(n, 1, 1)
        shading = shading + self._uniform(n, 1, 1, 1, high=0.12) * self._smooth(n, 1, 4)
        series = series * torch.exp(shading)
        top = series.flatten(1).amax(dim=1).view(n, 1, 1, 1).clamp_min(1e-6)
        series = top * (series / top).clamp_min(0) ** self._log_uniform(n, 0.75, 1.35).view(
            n, 1, 1, 1
        )
        sd = self._log_uniform(n, 0.003, 0.04).view(n, 1, 1, 1) * top
        noisy = torch.hypot(series + sd * self._normal(*series.shape), sd)
        return _blur(noisy, self._uniform(n, high=0.7))


def _warp_frames(frames: Tensor, places: Tensor) -> Tensor:
    """Sample each frame at its own places."""
    n, times = frames.shape[:2]
    warped = functional.grid_sample(
        frames.flatten(0, 1)[:, None],
        places.flatten(0, 1),
        padding_mode="border",
        align_corners=True,
    )
    return warped.view(n, times, SIDE, SIDE)


def _as_drawn(shares: Tensor, width: Tensor) -> Tensor:
    """Classes as people draw them: wall where there is little else, next to it what prevails."""
    first, last = _VISIBLY_BLURRED
    visible = ((width - first) / (last - first)).clamp(0, 1)[:, None, None]
    needed = 0.5 + (_WHOLLY_WALL - 0.5) * visible
    # A thin wall is nowhere whole once blurred: then what it reaches nearby counts as whole.
    reached = functional.max_pool2d(shares[:, _MYOCARDIUM], 7, stride=1, padding=3)
    whole = shares[:, _MYOCARDIUM] / torch.lerp(
        torch.ones_like(reached), reached.clamp_min(_THINNEST), visible
    )
    wall = ((whole.clamp(0, 1) - needed) / (2 * (1 - needed)) + 0.5).clamp(0, 1)
    drawn = shares.clamp_min(0) ** 2  # sharper, since blur has mixed more than one pixel
    drawn[:, _MYOCARDIUM] = 0
    drawn = drawn / drawn.sum(dim=1, keepdim=True).clamp_min(1e-6) * (1 - wall)[:, None]
    drawn[:, _MYOCARDIUM] = wall
    drawn[:, 0] += 1 - drawn.sum(dim=1)
    return drawn


def _blur(series: Tensor, width: Tensor) -> Tensor:
    """Blur [batch, channel, row, column] with a Gaussian of SD `width` [batch] pixels."""
    n, channels = series.shape[:2]
    steps = torch.arange(-4.0, 5.0, device=series.device)
    kernel = torch.exp(-0.5 * (steps / width.clamp_min(0.05)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(channels, dim=0)
    flat = functional.pad(series.flatten(0, 1)[None], (4, 4, 4, 4), mode="replicate")
    flat = functional.conv2d(flat, kernel[:, None, :, None], groups=n * channels)
    flat = functional.conv2d(flat, kernel[:, None, None, :], groups=n * channels)
    return flat[0].view_as(series)


def _mean(series: Tensor, share: Tensor) -> Tensor:
    """Mean curve of a region [batch, time, 1, 1]."""
    total = share.sum(dim=(1, 2)).clamp_min(1e-3)
    return (torch.einsum("nthw,nhw->nt", series, share) / total[:, None])[:, :, None, None]


def _depth(pool: Tensor) -> Tensor:
    """Roughly how deep in the pool a pixel lies: 0 at the border, 1 in the middle."""
    blurred = pool[:, None]
    for _ in range(4):
        blurred = functional.avg_pool2d(blurred, 9, stride=1, padding=4)
    deepest = blurred.flatten(1).amax(dim=1).clamp_min(1e-3)
    return ((blurred[:, 0] / deepest[:, None, None] - 0.45) / 0.55).clamp(0, 1)
