"""Which of the pools that fill is the left ventricle, and when it is brightest.

What fills proposes; the network, which knows what lies around a left ventricle, decides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pipeline.enhancement import Candidate, ventricle_candidates
from pipeline.errors import NoBolusError, PipelineError, TooFewFramesError
from pipeline.networks import CLASSES, AnatomyNetwork
from pipeline.peak import peak_lv_frame
from pipeline.study import BoolArray, FloatArray, IntArray, PerfusionSlice

MYOCARDIUM, LV_POOL, RV_POOL = (CLASSES.index(name) for name in CLASSES[1:])
MINIMUM_FRAMES = 8
_PLAUSIBLE_CM2 = 2.0
_MINIMUM_PLAUSIBILITY = 0.1
_MOSTLY_CLOSED = 0.7
"""Share of a pool's edge that must be wall where only the place is known."""
_FILLING_WEIGHT = 0.2
"""Scores of how a candidate fills differ by powers of ten, what the network sees by factors."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Heart:
    """The heart of one slice, roughly."""

    peak_frame: int
    """Frame of peak enhancement of the left ventricle."""
    centre: tuple[float, float]
    """Middle of both ventricles, (row, column)."""
    labels: IntArray
    """Index into `CLASSES` [row, column]."""

    @property
    def left(self) -> BoolArray:
        """Left ventricle with its wall [row, column]."""
        left: BoolArray = (self.labels == MYOCARDIUM) | (self.labels == LV_POOL)
        return left

    @property
    def right(self) -> BoolArray:
        """Pool of the right ventricle [row, column]."""
        right: BoolArray = self.labels == RV_POOL
        return right


def find_heart(
    frames: FloatArray,
    time_s: FloatArray,
    spacing_mm: tuple[float, float],
    network: AnatomyNetwork,
) -> Heart:
    """Find the heart in a series that need not be aligned.

    Parameters
    ----------
    frames : [time, row, column]
    time_s : [time]
    spacing_mm
        Between rows, between columns.
    network
        Tells left ventricles from what only fills like one.

    Raises
    ------
    TooFewFramesError
        A first pass does not fit into so few frames.
    NoBolusError
        No blood pool that enhances like a left ventricle and has a wall round it.
    """
    if len(frames) < MINIMUM_FRAMES:
        raise TooFewFramesError(f"{len(frames)} frames are too few for a first pass")
    best: Heart | None = None
    best_plausibility = _MINIMUM_PLAUSIBILITY
    for candidate in ventricle_candidates(frames, time_s, spacing_mm):
        if candidate.score**_FILLING_WEIGHT <= best_plausibility:
            break  # they are sorted: none of the others can be likelier
        peak = peak_lv_frame(frames, time_s, candidate.core, candidate.arrival_s)
        if peak is None:
            continue
        rows, columns = np.nonzero(candidate.core)
        centre = float(rows.mean()), float(columns.mean())
        classes = network.look(frames, time_s, float(time_s[peak]), centre, spacing_mm)
        labels = likeliest(classes)
        plausibility = _plausibility(classes, labels, candidate, spacing_mm)
        plausibility *= candidate.score**_FILLING_WEIGHT
        if plausibility > best_plausibility:
            labels = _around(labels, candidate.core)
            best = Heart(peak_frame=peak, centre=middle(labels > 0), labels=labels)
            best_plausibility = plausibility
    if best is None:
        raise NoBolusError("no contrast agent was seen to pass through the left ventricle")
    return best


def find_hearts(
    slices: Sequence[PerfusionSlice], network: AnatomyNetwork
) -> list[Heart | PipelineError]:
    """Find the heart in every slice of a first pass.

    Near the apex the cavity can be too small to stand out by how it fills. There the network looks
    where, and when, the nearest slice shows the heart.

    Parameters
    ----------
    slices
        From base to apex.
    network
        As for `find_heart`.

    Returns
    -------
    One for each slice: its heart, or the error that says why there is none.
    """
    alone = [_heart_or_error(one, network) for one in slices]
    known = {number: one for number, one in enumerate(alone) if isinstance(one, Heart)}
    hearts = list(alone)
    for number, one in enumerate(alone):
        if known and isinstance(one, NoBolusError):
            nearest = min(known, key=lambda other: abs(other - number))
            shown = _heart_beside(slices[number], slices[nearest], known[nearest], network)
            hearts[number] = shown or one
    return hearts


def _heart_or_error(one: PerfusionSlice, network: AnatomyNetwork) -> Heart | PipelineError:
    try:
        return find_heart(one.frames, one.time_s, one.geometry.spacing_mm, network)
    except PipelineError as error:
        return error


def _heart_beside(
    one: PerfusionSlice, neighbour: PerfusionSlice, heart: Heart, network: AnatomyNetwork
) -> Heart | None:
    """Look where another slice shows the heart; None where no ring of wall is seen there."""
    row, column = one.geometry.to_pixel(neighbour.geometry.to_patient_mm(np.array(heart.centre)))
    peak_s = float(neighbour.time_s[heart.peak_frame])
    spacing_mm = one.geometry.spacing_mm
    classes = network.look(one.frames, one.time_s, peak_s, (float(row), float(column)), spacing_mm)
    labels = likeliest(classes)
    pool = labels == LV_POOL
    if not pool.any() or _closed(pool, labels) < _MOSTLY_CLOSED:
        return None
    labels = _around(labels, pool)
    peak_frame = int(np.abs(one.time_s - peak_s).argmin())
    return Heart(peak_frame=peak_frame, centre=middle(labels > 0), labels=labels)


def _around(labels: IntArray, core: BoolArray) -> IntArray:
    """Keep what hangs together with the left ventricle."""
    parts, _ = ndimage.label(labels > 0)
    wanted = np.bincount(parts[core & (parts > 0)]).argmax()
    return np.where(parts == wanted, labels, 0)


def likeliest(classes: FloatArray) -> IntArray:
    """Likeliest of `CLASSES` [row, column]; background where the network saw nothing."""
    labels: IntArray = np.where(np.isnan(classes[0]), 0, np.nan_to_num(classes).argmax(axis=0))
    return labels


def middle(mask: BoolArray) -> tuple[float, float]:
    """Middle of the extent of a mask that is not empty, (row, column)."""
    rows, columns = np.nonzero(mask)
    return float(rows.min() + rows.max()) / 2, float(columns.min() + columns.max()) / 2


def _plausibility(
    classes: FloatArray,
    labels: IntArray,
    candidate: Candidate,
    spacing_mm: tuple[float, float],
) -> float:
    """0 to 1: the candidate is a pool with a wall all round it, and a right ventricle beside it."""
    pool: BoolArray = labels == LV_POOL
    if not pool.any():
        return 0.0
    area_cm2 = float(pool.sum()) * spacing_mm[0] * spacing_mm[1] / 100
    inside = float((labels[candidate.core] == LV_POOL).mean())
    certainty = float(np.nan_to_num(classes[LV_POOL][pool]).mean())
    right_cm2 = float((labels == RV_POOL).sum()) * spacing_mm[0] * spacing_mm[1] / 100
    beside = 0.5 + 0.5 * min(1.0, right_cm2 / _PLAUSIBLE_CM2)
    return min(1.0, area_cm2 / _PLAUSIBLE_CM2) * _closed(pool, labels) * inside * certainty * beside


def _closed(pool: BoolArray, labels: IntArray) -> float:
    """Share of what lies against a pool that is wall."""
    around = ndimage.binary_dilation(pool, iterations=2) & ~pool
    return float((labels[around] == MYOCARDIUM).mean())
