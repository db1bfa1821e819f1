"""The table page: flow of every segment, territory and the whole, first passes side by side."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from node.pictures.bullseye import reserve_to_show
from node.pictures.page import INK, QUIET, WARNING, page, pixels
from pipeline.reserve import TableRow, flow_table, territory_name, work_sentences
from pipeline.result import FirstPassResult, PerfusionResult, RegionFlow, Reserve
from pipeline.study import FloatArray, IntArray

_PASSES_A_PAGE = 2
_TOP, _ROW = 0.845, 0.0298
_NAME_X, _FIRST_X, _STEP, _LAST_X = 0.03, 0.25, 0.0554, 0.97
_COLUMNS = ("MBF", "SD", "pixels", "endo", "epi", "ratio")
_LEGEND = (
    "MBF: fit of the mean curve. SD: of noise and model. pixels: median of the pixel fits less "
    "MBF. endo, epi: fits of the halves of the wall; ratio: one over the other."
)
_RING = ("anterior", "anteroseptal", "inferoseptal", "inferior", "inferolateral", "anterolateral")
_WALLS = (
    *(f"basal {wall}" for wall in _RING),
    *(f"mid {wall}" for wall in _RING),
    *(f"apical {wall}" for wall in ("anterior", "septal", "inferior", "lateral")),
)
"""Of the AHA segments 1 to 16 (doi 10.1161/hc0402.102975)."""


def table_pages(result: PerfusionResult, version: str) -> list[IntArray]:
    """Draw the table of the first passes whose numbers may be shown, two a page."""
    shown = [one for one in result.first_passes if not one.withheld]
    starts = range(0, len(shown), _PASSES_A_PAGE)
    return [_page(shown[start : start + _PASSES_A_PAGE], result, version) for start in starts]


def _page(passes: Sequence[FirstPassResult], result: PerfusionResult, version: str) -> IntArray:
    rows = flow_table(passes, reserve_to_show(result))
    reserve = any(row.reserve is not None for row in rows)
    count = len(_COLUMNS) * len(passes) + (2 if reserve else 0)
    places = _FIRST_X + _STEP * np.arange(count)
    with page("Myocardial blood flow [mL/min/g]", version) as figure:
        _draw_head(figure, passes, places)
        for number, row in enumerate(rows):
            height = _TOP - (number + 2 + 0.5 * (row.segment is None)) * _ROW
            _draw_row(figure, row, places, height, reserve=reserve)
        _draw_foot(figure, result)
        return pixels(figure)


def _draw_head(figure: Figure, passes: Sequence[FirstPassResult], places: FloatArray) -> None:
    width = len(_COLUMNS)
    titles: list[str] = []
    for number, one in enumerate(passes):
        middle = float(places[number * width : (number + 1) * width].mean()) - 0.02
        figure.text(middle, _TOP + _ROW, one.label, color=INK, fontsize=11, ha="center")
        titles += _COLUMNS
    titles += ("MPR", "corr.")[: len(places) - len(titles)]
    for x, title in zip(places, titles, strict=True):
        figure.text(x, _TOP, title, color=QUIET, fontsize=9, ha="right", va="center")
    height = _TOP - 0.8 * _ROW
    figure.add_artist(Line2D((_NAME_X, _LAST_X), (height, height), color="#3a4048", linewidth=0.8))


def _draw_row(
    figure: Figure, row: TableRow, places: FloatArray, height: float, *, reserve: bool
) -> None:
    figure.text(_NAME_X, height, row_name(row), color=INK, fontsize=9, va="center")
    cells = [cell for flow in row.flows for cell in flow_cells(flow)]
    cells += reserve_cells(row.reserve) if reserve else []
    for x, cell in zip(places, cells, strict=True):
        figure.text(x, height, cell, color=INK, fontsize=9, ha="right", va="center")


def row_name(row: TableRow) -> str:
    """Name a row: ``7  mid anterior``, ``LAD``, ``global``."""
    if row.segment is None:
        return territory_name(row.territory)
    return f"{row.segment:2d}  {_WALLS[row.segment - 1]}"


def flow_cells(flow: RegionFlow | None) -> list[str]:
    """Write what stands in the columns of one first pass."""
    if flow is None:
        return ["-"] * len(_COLUMNS)
    return [
        _number(flow.mbf_ml_min_g),
        _number(flow.mbf_sd_ml_min_g),
        _number(flow.pixel_difference_ml_min_g, "+.2f"),
        _number(flow.mbf_endo_ml_min_g),
        _number(flow.mbf_epi_ml_min_g),
        _number(flow.endo_epi_ratio),
    ]


def reserve_cells(reserve: Reserve | None) -> list[str]:
    """Write the reserve, and the reserve corrected for the work of the heart."""
    if reserve is None:
        return ["-", "-"]
    corrected = reserve.mpr_corrected
    return [_number(reserve.mpr), "-" if corrected is None else _number(corrected)]


def _number(value: float, style: str = ".2f") -> str:
    return format(value, style) if np.isfinite(value) else "-"


def _draw_foot(figure: Figure, result: PerfusionResult) -> None:
    sentences = [_LEGEND, *work_sentences(result.first_passes)]
    for number, sentence in enumerate(reversed(sentences)):
        figure.text(_NAME_X, 0.06 + 0.022 * number, sentence, color=QUIET, fontsize=8.5)
    above = 0.06 + 0.022 * len(sentences)
    for number, burden in enumerate(reversed(result.burden)):
        figure.text(_NAME_X, above + 0.024 * number, burden.sentence, color=WARNING, fontsize=9.5)
