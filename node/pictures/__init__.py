"""Pages for people: pictures of the results as RGB arrays, "Research use only" burned in.

No file, no window, no global state: each function draws pages and returns their pixels.
"""

from collections.abc import Sequence

from node.pictures.booklet import pdf
from node.pictures.bullseye import bullseye_pages, reserve_to_show
from node.pictures.curves import curves_page
from node.pictures.maps import FLOW_RANGE_ML_MIN_G, map_pages
from node.pictures.page import text_pages
from node.pictures.table import table_pages
from pipeline.result import PerfusionResult
from pipeline.study import IntArray

__all__ = [
    "FLOW_RANGE_ML_MIN_G",
    "bullseye_pages",
    "curves_page",
    "map_pages",
    "pdf",
    "reserve_to_show",
    "result_pages",
    "table_pages",
    "text_pages",
]


def result_pages(
    result: PerfusionResult,
    quality: Sequence[tuple[str, Sequence[str]]],
    version: str,
) -> list[IntArray]:
    """Draw every page of a study: bullseyes, table, maps, curves, and the quality page.

    Parameters
    ----------
    quality
        Headings and sentences of the quality page.
    """
    pages = [*bullseye_pages(result, version), *table_pages(result, version)]
    for first_pass in result.first_passes:
        pages.extend(map_pages(first_pass, version))
        if not first_pass.withheld:
            pages.append(curves_page(first_pass, version))
    return [*pages, *text_pages("Quality and method", quality, version)]
