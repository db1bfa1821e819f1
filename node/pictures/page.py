"""The frame of every page: dark ground, title, notice and version."""

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from pipeline.study import IntArray

WIDTH, HEIGHT = 1024, 768
_DPI = 100
GROUND, INK, QUIET, WARNING = "#0d0f12", "#f2f2f2", "#9aa3ad", "#ffd24a"
NOTICE = "RESEARCH USE ONLY - not for diagnosis"
_LINE_WIDTH = 104


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
    canvas = figure.canvas
    canvas.draw()
    rgba = np.asarray(canvas.buffer_rgba())  # type: ignore[attr-defined]  # it is an Agg canvas
    return np.ascontiguousarray(rgba[..., :3])


def text_page(title: str, sections: Sequence[tuple[str, Sequence[str]]], version: str) -> IntArray:
    """Draw a page of headed lists of sentences; what does not fit is counted, not dropped."""
    lines = list(_lines(sections))
    room = 33
    if len(lines) > room:
        left = len(lines) - room + 1
        lines = [*lines[: room - 1], (f"... and {left} more lines, see the report", QUIET, False)]
    with page(title, version) as figure:
        for number, (line, colour, heading) in enumerate(lines):
            figure.text(
                0.03 if heading else 0.045,
                0.895 - number * 0.0255,
                line,
                color=colour,
                fontsize=11,
                fontweight="bold" if heading else "normal",
                va="center",
            )
        return pixels(figure)


def _lines(sections: Sequence[tuple[str, Sequence[str]]]) -> Iterator[tuple[str, str, bool]]:
    for heading, sentences in sections:
        yield heading, WARNING, True
        for sentence in sentences:
            wrapped = textwrap.wrap(sentence, _LINE_WIDTH, subsequent_indent="   ")
            for line in wrapped or [""]:
                yield line, INK, False
        yield "", INK, False
