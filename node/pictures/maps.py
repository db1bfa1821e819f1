"""The map page of one first pass: flow over the image, and below it what was outlined."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from node.pictures.page import INK, QUIET, page, pixels
from pipeline.margins import as_drawn
from pipeline.result import FirstPassResult, SliceResult
from pipeline.study import FloatArray, IntArray

FLOW_RANGE_ML_MIN_G = (0.0, 5.0)
"""Shown from the first to the last colour; healthy stress lies near 3, rest near 1."""
FLOW_COLOURS = "turbo"
_MARGIN = 0.3
"""Shown beyond the heart's box on each side, as a share of its size: a wrong box must be seen."""
_SLICES_A_PAGE = 4
_DOUBTED = (0.1, 0.9)
"""Probabilities of the wall between which a pixel counts as doubtful."""
_DOUBT = "#62d26f"
_OUTLINES = (("myocardium", "#ff5a4f"), ("lv_pool", "#4fa3ff"), ("rv_pool", "#ffd24a"))


def map_pages(first_pass: FirstPassResult, version: str) -> list[IntArray]:
    """Draw flow and outlines, up to four slices a page.

    Flow that the quality gate withholds is not drawn.
    """
    slices = first_pass.slices
    starts = range(0, len(slices), _SLICES_A_PAGE)
    return [
        _map_page(first_pass, slices[start : start + _SLICES_A_PAGE], version) for start in starts
    ]


def _map_page(first_pass: FirstPassResult, slices: Sequence[SliceResult], version: str) -> IntArray:
    withheld = first_pass.withheld
    title = f"Myocardial blood flow, {first_pass.label}" + (" - withheld" if withheld else "")
    with page(title, version) as figure:
        for column, one in enumerate(slices):
            _draw_flow(_axes(figure, 0, column, len(slices)), one, withheld=withheld)
            _draw_outlines(_axes(figure, 1, column, len(slices)), one)
        if not withheld:
            _colour_bar(figure)
        _legend(figure)
        return pixels(figure)


def _axes(figure: Figure, row: int, column: int, columns: int) -> Axes:
    width = 0.88 / columns
    axes = figure.add_axes((0.02 + column * width, 0.5 - row * 0.435, width - 0.01, 0.40))
    axes.set_axis_off()
    return axes


def _draw_flow(axes: Axes, one: SliceResult, *, withheld: bool) -> None:
    rows, columns = _window(one)
    _draw_anatomy(axes, one)
    axes.set_title(one.level, color=INK, fontsize=11)
    if withheld:
        return
    flow = np.ma.masked_invalid(one.maps.mbf_ml_min_g[rows, columns])
    low, high = FLOW_RANGE_ML_MIN_G
    axes.imshow(flow, cmap=FLOW_COLOURS, vmin=low, vmax=high, interpolation="nearest")


def _draw_outlines(axes: Axes, one: SliceResult) -> None:
    rows, columns = _window(one)
    _draw_anatomy(axes, one)
    _tint_doubt(axes, one.regions.wall_probability, (rows, columns))
    drawn = as_drawn(one.regions, one.geometry.spacing_mm)
    for name, colour in _OUTLINES:
        mask = getattr(drawn, name)[rows, columns]
        if mask.any() and not mask.all():
            axes.contour(mask, levels=[0.5], colors=[colour], linewidths=1.2)
    points = one.insertion_points
    for (row, column), marker in ((points.anterior, "^"), (points.inferior, "v")):
        axes.plot(
            column - columns.start, row - rows.start, marker, color="white",
            markersize=7, markeredgecolor="black",
        )  # fmt: skip
    _label_sectors(axes, one.sectors[rows, columns])


def _tint_doubt(axes: Axes, probability: FloatArray | None, window: tuple[slice, slice]) -> None:
    """Tint where the edge of the wall may as well lie."""
    if probability is None:
        return
    shown = probability[window]
    low, high = _DOUBTED
    doubted = np.ma.masked_where((shown < low) | (shown > high), shown)
    axes.imshow(doubted, cmap=ListedColormap([_DOUBT]), alpha=0.35, interpolation="nearest")


def _label_sectors(axes: Axes, sectors: IntArray) -> None:
    for number in np.unique(sectors[sectors > 0]):
        row, column = np.argwhere(sectors == number).mean(axis=0)
        axes.text(column, row, str(number), color="white", fontsize=8, ha="center", va="center")


def _draw_anatomy(axes: Axes, one: SliceResult) -> None:
    image: FloatArray = one.aligned.frames[(one.aligned.reference_frame, *_window(one))]
    axes.imshow(image, cmap="gray", vmin=0, vmax=max(float(np.percentile(image, 99.5)), 1e-9))
    geometry = one.geometry
    for direction, place in (
        (np.negative(geometry.column_direction), (0.02, 0.5)),
        (np.asarray(geometry.column_direction), (0.98, 0.5)),
        (np.negative(geometry.row_direction), (0.5, 0.97)),
        (np.asarray(geometry.row_direction), (0.5, 0.03)),
    ):
        axes.text(
            *place, side_of_patient(direction), transform=axes.transAxes,
            color=QUIET, fontsize=8, ha="center", va="center",
        )  # fmt: skip


def side_of_patient(direction: FloatArray) -> str:
    """Name where a direction in patient space (LPS) points, its largest part first: ``LP``.

    Parts under a third are left out (PS3.3 C.7.6.1.1.1).
    """
    letters = (
        "LR"[int(direction[0] < 0)],
        "PA"[int(direction[1] < 0)],
        "HF"[int(direction[2] < 0)],
    )
    parts = sorted(zip(np.abs(direction), letters, strict=True), reverse=True)
    return "".join(letter for part, letter in parts if part > 1 / 3)


def _window(one: SliceResult) -> tuple[slice, slice]:
    """Take a square around the heart's box, as far as the image goes."""
    half = round((0.5 + _MARGIN) * max(one.box.shape))
    row = (one.box.row_start + one.box.row_stop) // 2
    column = (one.box.column_start + one.box.column_stop) // 2
    rows, columns = one.aligned.frames.shape[1:]
    return (
        slice(max(row - half, 0), min(row + half, rows)),
        slice(max(column - half, 0), min(column + half, columns)),
    )


def _colour_bar(figure: Figure) -> None:
    low, high = FLOW_RANGE_ML_MIN_G
    axes = figure.add_axes((0.915, 0.52, 0.018, 0.36))
    bar = figure.colorbar(ScalarMappable(Normalize(low, high), FLOW_COLOURS), cax=axes)
    bar.set_label("MBF [mL/min/g]", color=INK, fontsize=10)
    axes.tick_params(colors=INK, labelsize=9)


def _legend(figure: Figure) -> None:
    names = (*((name.replace("_", " "), colour) for name, colour in _OUTLINES),)
    for number, (name, colour) in enumerate(names):
        figure.text(0.905, 0.42 - 0.03 * number, name.replace("lv", "LV").replace("rv", "RV"),
                    color=colour, fontsize=9)  # fmt: skip
    figure.text(
        0.905, 0.42 - 0.03 * len(names), "wall or not,\n10 to 90 %", color=_DOUBT, fontsize=9,
        va="top",
    )  # fmt: skip
    figure.text(
        0.905, 0.36 - 0.03 * len(names), "RV insertion:\n^ anterior\nv inferior",
        color=QUIET, fontsize=9, va="top",
    )  # fmt: skip
