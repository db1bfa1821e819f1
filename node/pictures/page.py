"""The frame of every page: dark ground, title, notice and version."""

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline.study import IntArray

WIDTH, HEIGHT = 1024, 768
_DPI = 100
GROUND, INK, QUIET, WARNING = "#0d0f12", "#f2f2f2", "#9aa3ad", "#ffd24a"
NOTICE = "RESEARCH USE ONLY - not for diagnosis"
_LINE_WIDTH = 128
_LINES_A_PAGE = 42


@contextmanager
def page(title: str, version: str) -> Iterator[Figure]:
    """Open a page; whatever the machine's matplotlib settings are, it looks the same."""
    with matplotlib.style.context("default", after_reset=True):
        figure = Figure(figsize=(WIDTH / _DPI, HEIGHT / _DPI), dpi=_DPI, facecolor=GROUND)
        FigureCanvasAgg(figure)
        figure.text(0.03, 0.955, title, color=INK, fontsize=17, fontweight="bold", va="center")
        figure.text(0.03, 0.025, NOTICE, color=WARNING, fontsize=11, fontweight="bold", va="center")
        figure.text(
            0.97,
            0.025,
            f"perfusion-node {version}",
            color=QUIET,
            fontsize=9,
            ha="right",
            va="center",
        )
        yield figure


def pixels(figure: Figure) -> IntArray:
    """Draw the page: 8 bit [row, column, (red, green, blue)]."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]  # matplotlib types it later
    rgba = np.asarray(canvas.buffer_rgba())  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(rgba[..., :3])


def style_axes(axes: Axes) -> None:
    """Give a plot the page's colours."""
    axes.set_facecolor(GROUND)
    axes.tick_params(colors=QUIET, labelsize=8)
    for spine in axes.spines.values():
        spine.set_color("#3a4048")
    axes.xaxis.label.set_color(QUIET)
    axes.yaxis.label.set_color(QUIET)
    axes.title.set_color(INK)


def text_pages(
    title: str, sections: Sequence[tuple[str, Sequence[str]]], version: str
) -> list[IntArray]:
    """Draw headed lists of sentences, on as many pages as they need."""
    lines = _parted(list(_lines(sections)))
    return [
        _text_page(title if len(lines) == 1 else f"{title} ({number}/{len(lines)})", part, version)
        for number, part in enumerate(lines, start=1)
    ]


def _parted(lines: Sequence[tuple[str, bool]]) -> list[Sequence[tuple[str, bool]]]:
    """Part lines into pages; a heading goes over to the page of its first sentence."""
    parts: list[Sequence[tuple[str, bool]]] = []
    start = 0
    while start < max(len(lines), 1):
        stop = min(start + _LINES_A_PAGE, len(lines))
        if stop < len(lines) and lines[stop - 1][1]:
            stop -= 1
        parts.append(lines[start:stop])
        start = max(stop, start + 1)
    return parts


def _text_page(title: str, lines: Sequence[tuple[str, bool]], version: str) -> IntArray:
    with page(title, version) as figure:
        for number, (line, heading) in enumerate(lines):
            figure.text(
                0.03 if heading else 0.045,
                0.895 - number * 0.0198,
                line,
                color=WARNING if heading else INK,
                fontsize=9.2,
                fontweight="bold" if heading else "normal",
                va="center",
                parse_math=False,
            )
        return pixels(figure)


def _lines(sections: Sequence[tuple[str, Sequence[str]]]) -> Iterator[tuple[str, bool]]:
    for heading, sentences in sections:
        yield heading, True
        for sentence in sentences:
            for line in textwrap.wrap(sentence, _LINE_WIDTH, subsequent_indent="   "):
                yield line, False
        yield "", False
