"""Bullseyes: the AHA segments as seen from the apex, anterior wall up, septum to the left."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.patches import Wedge

from node.pictures.maps import FLOW_COLOURS, FLOW_RANGE_ML_MIN_G
from node.pictures.page import INK, QUIET, page, pixels
from pipeline.result import PerfusionResult, SegmentReserve
from pipeline.study import IntArray, State

RESERVE_RANGE = (0.0, 5.0)
_EMPTY = "#24282e"
_A_PAGE = 3


def bullseye_pages(result: PerfusionResult, version: str) -> list[IntArray]:
    """Draw one bullseye a first pass whose numbers may be shown, and one of the reserve."""
    panels = [
        (
            f"MBF {one.label} [mL/min/g]",
            {segment.segment: segment.mbf_ml_min_g for segment in one.segments},
            FLOW_RANGE_ML_MIN_G,
        )
        for one in result.first_passes
        if not one.withheld
    ]
    reserve = {one.segment: one.mpr for one in reserve_to_show(result)}
    if reserve:
        panels.append(("Perfusion reserve (stress / rest)", reserve, RESERVE_RANGE))
    return [
        _page(panels[start : start + _A_PAGE], version) for start in range(0, len(panels), _A_PAGE)
    ]


def reserve_to_show(result: PerfusionResult) -> tuple[SegmentReserve, ...]:
    """Give the reserve, unless the numbers of rest or of stress are withheld."""
    shown = {one.state for one in result.first_passes if not one.withheld}
    return result.reserve if {State.REST, State.STRESS} <= shown else ()


_Panel = tuple[str, Mapping[int, float], tuple[float, float]]


def _page(panels: Sequence[_Panel], version: str) -> IntArray:
    with page("AHA segments", version) as figure:
        width = 0.96 / len(panels)
        for number, panel in enumerate(panels):
            left = 0.02 + number * width
            axes = figure.add_axes((left, 0.2, width - 0.02, 0.66))
            draw_bullseye(axes, panel)
            _colour_bar(figure, panel[2], left + 0.1 * width, 0.76 * width)
        figure.text(
            0.5, 0.905, "seen from the apex: anterior up, septum left",
            color=QUIET, fontsize=9, ha="center",
        )  # fmt: skip
        return pixels(figure)


def draw_bullseye(axes: Axes, panel: _Panel) -> None:
    """Draw the values of the segments 1 to 16; a segment without a finite value stays dark."""
    title, values, (low, high) = panel
    axes.set_axis_off()
    axes.set_aspect("equal")
    axes.set_xlim(-4.1, 4.1)
    axes.set_ylim(-4.1, 4.1)
    axes.set_title(title, color=INK, fontsize=11)
    colours = colormaps[FLOW_COLOURS]
    for segment in range(1, 17):
        value = values.get(segment, np.nan)
        measured = np.isfinite(value)
        fraction = float(np.clip((value - low) / (high - low), 0, 1)) if measured else 0.0
        start, extent, inner = wedge(segment)
        axes.add_patch(
            Wedge(
                (0, 0), inner + 1, start, start + extent, width=1, edgecolor="black",
                facecolor=colours(fraction) if measured else _EMPTY,
            )
        )  # fmt: skip
        angle = np.radians(start + extent / 2)
        axes.text(
            (inner + 0.5) * np.cos(angle), (inner + 0.5) * np.sin(angle),
            f"{value:.2f}" if measured else "-",
            color="black" if 0.2 < fraction < 0.85 else "white",
            fontsize=8.5, fontweight="bold", ha="center", va="center",
        )  # fmt: skip


def wedge(segment: int) -> tuple[float, float, float]:
    """Place a segment: first angle and extent [degrees], inner radius.

    Angles run counter-clockwise from the right, so segment 1 (basal anterior) is up and 2
    (anteroseptal) to the left of it (AHA 2002, doi 10.1161/hc0402.102975).
    """
    if segment <= 6:
        return 60.0 + 60.0 * (segment - 1), 60.0, 3.0
    if segment <= 12:
        return 60.0 + 60.0 * (segment - 7), 60.0, 2.0
    return 45.0 + 90.0 * (segment - 13), 90.0, 1.0


def _colour_bar(figure: Figure, limits: tuple[float, float], left: float, width: float) -> None:
    axes = figure.add_axes((left, 0.14, width, 0.02))
    scale = ScalarMappable(Normalize(*limits), FLOW_COLOURS)
    figure.colorbar(scale, cax=axes, orientation="horizontal")
    axes.tick_params(colors=INK, labelsize=9)
