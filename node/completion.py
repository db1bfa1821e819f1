"""Decide from what has arrived whether a study is complete; pure, so a table of cases tests it.

A series is complete when its headers say how many images it has and they are here, or when it has
been quiet for some time. A study is complete when all its series are and nothing came for longer;
or at once, when the headers prove that rest and stress are whole.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from node.config import Completion
from node.index.holdings import SeriesArrivals, StudyArrivals

_SATURATED = "input-function-saturated"
"""The finding of the pipeline that a series of its own for the input function would answer."""


@dataclass(frozen=True)
class Verdict:
    """The answer, what is still missing, and when to ask again at the latest."""

    complete: bool
    waiting_for: tuple[str, ...]
    """Sentences without patient data; empty when complete."""
    missing: tuple[str, ...]
    """Series that fell silent before the number of images that their headers promise was here."""
    look_again_s: float | None
    """Seconds from now; None when complete."""


def judge(
    study: StudyArrivals,
    now_s: float,
    settings: Completion,
    proves_both: Callable[[StudyArrivals], bool] = lambda _: False,
) -> Verdict:
    """Judge a study at the time `now_s` (seconds since the epoch, the clock of the arrivals).

    Parameters
    ----------
    proves_both
        Whether headers prove that a whole first pass at rest and one under stress are here; asked
        only when all series are complete.
    """
    waits: list[tuple[str, float]] = []
    missing: list[str] = []
    total = len(study.series)
    for number, series in enumerate(study.series, start=1):
        rest_s = series.last_s + settings.series_quiet_s - now_s
        here = f"series {number} of {total}: {_how_many(series)}"
        if not has_all(series) and rest_s > 0:
            waits.append((here, rest_s))
        elif series.expected_images is not None and series.received < series.expected_images:
            missing.append(here)
    rest_s = study.last_s + settings.study_quiet_s - now_s
    may_be_early = settings.early and not waits and not missing
    if rest_s > 0 and not (may_be_early and proves_both(study)):
        waits.append((f"the study to be quiet for {settings.study_quiet_s:g} s", rest_s))
    return Verdict(
        complete=not waits,
        waiting_for=tuple(what for what, _ in waits),
        missing=tuple(missing),
        look_again_s=max((rest for _, rest in waits), default=None),
    )


def has_all(series: SeriesArrivals) -> bool:
    """Whether all images are here that the headers of a series announce."""
    # More than expected means that the header counts something else: then only silence tells.
    return series.expected_images is not None and series.received == series.expected_images


def _how_many(series: SeriesArrivals) -> str:
    of = "" if series.expected_images is None else f" of {series.expected_images}"
    return f"{series.received}{of} images"


def what_is_missing(first_passes: Sequence[Mapping[str, object]]) -> str | None:
    """Say what an analysis lacked; None: nothing, or nothing that is known.

    Parameters
    ----------
    first_passes
        Of the answer of `perfusion-node process --json`. A study without any is another kind of
        study, which lacks nothing.
    """
    states = [str(one["state"]) for one in first_passes]
    if not states:
        return None
    if len(states) == 1:
        return "the other first pass"
    if "undetermined" not in states and len(set(states)) == 1:
        return f"a first pass in another state than {states[0]}"
    codes = {
        finding["code"]
        for one in first_passes
        for finding in cast("list[dict[str, str]]", one["findings"])
    }
    return "a series for the input function" if _SATURATED in codes else None
