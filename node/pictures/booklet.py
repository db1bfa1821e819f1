"""The pages as one PDF, without a date in it: the same pages give the same bytes."""

from collections.abc import Sequence
from io import BytesIO

import matplotlib.style
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from pipeline.study import IntArray

_POINTS_PER_INCH = 72


def pdf(pages: Sequence[IntArray], title: str) -> bytes:
    """Bind RGB pages to a PDF document, one pixel a point."""
    document = BytesIO()
    about = {"Title": title, "Creator": "perfusion-node", "CreationDate": None}
    with (
        matplotlib.style.context("default", after_reset=True),
        PdfPages(document, metadata=about) as booklet,
    ):
        for page in pages:
            rows, columns = page.shape[:2]
            size = (columns / _POINTS_PER_INCH, rows / _POINTS_PER_INCH)
            figure = Figure(figsize=size, dpi=_POINTS_PER_INCH)
            figure.figimage(page)
            booklet.savefig(figure)
    return document.getvalue()
