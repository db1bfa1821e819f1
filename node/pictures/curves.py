"""The curve page of one first pass: input function, and tissue with the fit, level by level."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes

from node.pictures.page import INK, QUIET, page, pixels, style_axes
from pipeline.result import FirstPassResult, InputFunction, SegmentFlow
from pipeline.study import IntArray

_LEVELS = (("basal", range(1, 7)), ("mid-ventricular", range(7, 13)), ("apical", range(13, 17)))
_PLACES = ((0.07, 0.565), (0.56, 0.565), (0.07, 0.115), (0.56, 0.115))
_SIZE = (0.41, 0.33)


def curves_page(first_pass: FirstPassResult, version: str) -> IntArray:
    """Draw what was measured (points) and what was fitted (lines), in mmol/L."""
    with page(f"Curves, {first_pass.label}, model {first_pass.model}", version) as figure:
        _draw_input(figure.add_axes((*_PLACES[0], *_SIZE)), first_pass.input_function)
        for (name, numbers), place in zip(_LEVELS, _PLACES[1:], strict=True):
            segments = [one for one in first_pass.segments if one.segment in numbers]
            _draw_tissue(figure.add_axes((*place, *_SIZE)), name, segments)
        return pixels(figure)


def _draw_input(axes: Axes, curve: InputFunction) -> None:
    axes.plot(curve.time_s, curve.concentration_mmol_l, color="#ff5a4f", linewidth=1.5)
    for moment, name in ((curve.arrival_s, "arrival"), (curve.first_pass_end_s, "end")):
        axes.axvline(moment, color=QUIET, linewidth=0.8, linestyle="--")
        axes.annotate(
            name, (moment, 0.97), xycoords=("data", "axes fraction"),
            color=QUIET, fontsize=8, rotation=90, va="top", ha="right",
        )  # fmt: skip
    saturated = " (saturated)" if curve.saturated else ""
    axes.set_title(f"Input function: {curve.source}{saturated}", fontsize=10)
    _finish(axes)


def _draw_tissue(axes: Axes, name: str, segments: Sequence[SegmentFlow]) -> None:
    colours = colormaps["tab10"]
    for number, one in enumerate(segments):
        if not one.time_s.size:
            continue
        colour = colours(number)
        axes.plot(one.time_s, one.concentration_mmol_l, ".", color=colour, markersize=3)
        if one.fitted_mmol_l.size and np.isfinite(one.fitted_mmol_l).any():
            axes.plot(
                one.time_s, one.fitted_mmol_l, color=colour, linewidth=1.2, label=str(one.segment)
            )
    axes.set_title(f"Tissue, {name}", fontsize=10)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(
            title="AHA", ncols=2, fontsize=7, title_fontsize=7, loc="upper left",
            facecolor="#15181d", edgecolor="#3a4048", labelcolor=INK,
        ).get_title().set_color(QUIET)  # fmt: skip
    _finish(axes)


def _finish(axes: Axes) -> None:
    axes.set_xlabel("time [s]", fontsize=8)
    axes.set_ylabel("gadolinium [mmol/L]", fontsize=8)
    axes.grid(color="#22262c", linewidth=0.6)
    style_axes(axes)
