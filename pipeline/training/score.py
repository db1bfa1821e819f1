"""How far the anatomical stages are from the truth, on phantom slices that no network was shown."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from pipeline.errors import PipelineError
from pipeline.heart import Heart, find_heart, find_hearts
from pipeline.landmarks import insertion_points
from pipeline.locate import heart_box
from pipeline.margins import as_drawn
from pipeline.motion import align
from pipeline.networks import AnatomyNetwork
from pipeline.phantom import PhantomSettings, SliceTruth, simulate
from pipeline.result import Box, Regions
from pipeline.sectors import aha_sectors
from pipeline.segment import segment
from pipeline.study import BoolArray, FloatArray, PerfusionSlice, State
from pipeline.training.examples import FIRST_TRAINING_SEED

_FIRST_PASS_FRAMES = 12
"""After the peak that was found; recirculation may be brighter on a bad day."""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One slice against its truth; NaN where a stage gave nothing."""

    peak_frames: float = np.nan
    """Absolute error of the peak frame."""
    box_dice: float = np.nan
    myocardium_dice: float = np.nan
    """Of the outlines that are sent, without the wall's edges: against the true wall without
    its edges, by the same rule, or against an expert's outlines as they are."""
    lv_pool_dice: float = np.nan
    """Likewise of the cavity, to which what is left out inside belongs."""
    wall_to_edges_dice: float = np.nan
    """Of the wall to its visible edges."""
    pool_to_edges_dice: float = np.nan
    """Of the cavity to the wall's visible edge."""
    rv_pool_dice: float = np.nan
    anterior_mm: float = np.nan
    """Distance of the anterior insertion point from the true one."""
    inferior_mm: float = np.nan
    predicted_dice: float = np.nan
    """What the network expects of its myocardium."""
    predicted_pool_dice: float = np.nan
    """What it expects of its left ventricular pool."""
    sector_share: float = np.nan
    """Share of the common myocardium in its true AHA segment."""
    failed: float = 0.0
    """1 where a stage gave up."""


HIGHER_IS_BETTER = {
    "box_dice",
    "myocardium_dice",
    "lv_pool_dice",
    "wall_to_edges_dice",
    "pool_to_edges_dice",
    "rv_pool_dice",
    "sector_share",
    "predicted_dice",
    "predicted_pool_dice",
}


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Distribution of one measure."""

    mean: float
    sd: float
    poor: float
    """95th percentile of errors, 5th of overlaps."""
    worst: float
    n: int


def held_out_scores(
    seeds: Sequence[int], network: AnatomyNetwork, settings: PhantomSettings | None = None
) -> Iterator[tuple[int, Score]]:
    """Yield seed and score of every slice of phantom studies, rest and stress in turn."""
    if any(seed >= FIRST_TRAINING_SEED for seed in seeds):
        raise ValueError(f"seeds from {FIRST_TRAINING_SEED} on are for training")
    for seed in seeds:
        asked = settings or PhantomSettings(states=((State.REST, State.STRESS)[seed % 2],))
        made = simulate(seed, asked)
        for first_pass, truth in zip(made.study.first_passes, made.truth.first_passes, strict=True):
            hearts = find_hearts(first_pass.slices, network)
            for source, known, heart in zip(first_pass.slices, truth.slices, hearts, strict=True):
                yield seed, score(source, known, heart, network)


def score(
    source: PerfusionSlice,
    truth: SliceTruth,
    heart: Heart | PipelineError,
    network: AnatomyNetwork,
) -> Score:
    """Run the anatomical stages that follow on `find_hearts` and compare with the truth."""
    if isinstance(heart, PipelineError):
        return Score(failed=1.0)
    found: dict[str, float] = {}
    try:
        _run(source, truth, heart, network, found)
    except PipelineError:
        found["failed"] = 1.0
    return Score(**found)


def score_outlines(
    frames: FloatArray,
    time_s: FloatArray,
    spacing_mm: tuple[float, float],
    expert: Mapping[str, BoolArray],
    network: AnatomyNetwork,
    *,
    aligned: bool,
) -> Score:
    """Compare a real series with an expert's outlines of one of its frames.

    Parameters
    ----------
    frames : [time, row, column]
    time_s : [time]
    spacing_mm
        Between rows, between columns.
    expert
        Masks by the names of `Regions`. The true peak frame is the one in which the expert's left
        pool is brightest.
    network
        To be scored.
    aligned
        The frames are aligned already.
    """
    found: dict[str, float] = {}
    try:
        heart = find_heart(frames, time_s, spacing_mm, network)
        if not aligned:
            first_pass = frames[: heart.peak_frame + _FIRST_PASS_FRAMES, expert["lv_pool"]]
            brightest = int(first_pass.mean(axis=1).argmax())
            found["peak_frames"] = float(abs(heart.peak_frame - brightest))
            box = heart_box(heart.left, heart.right, spacing_mm)
            frames = align(frames, time_s, box, heart.peak_frame, spacing_mm).frames
        regions = segment(frames, time_s, heart, spacing_mm, network)
        _expect(regions, found)
        drawn = as_drawn(regions, spacing_mm)
        for name, mask in expert.items():
            found[f"{name}_dice"] = dice(getattr(drawn, name), mask)
        found["wall_to_edges_dice"] = dice(regions.myocardium, expert["myocardium"])
        found["pool_to_edges_dice"] = dice(regions.lv_pool, expert["lv_pool"])
    except PipelineError:
        found["failed"] = 1.0
    return Score(**found)


def summarise(scores: Sequence[Score]) -> dict[str, Summary]:
    """Mean, SD, 95th percentile and worst of every measure."""
    table = {}
    for name in asdict(Score()):
        values = np.array([getattr(one, name) for one in scores], dtype=float)
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        higher = name in HIGHER_IS_BETTER
        table[name] = Summary(
            mean=float(values.mean()),
            sd=float(values.std()),
            poor=float(np.percentile(values, 5 if higher else 95)),
            worst=float(values.min() if higher else values.max()),
            n=len(values),
        )
    return table


def foresight(
    scores: Sequence[Score], of: str = "myocardium_dice", by: str = "predicted_dice"
) -> float | None:
    """Correlation of a predicted with a true overlap; None where there is none."""
    pairs = np.array([(getattr(one, by), getattr(one, of)) for one in scores]).reshape(-1, 2)
    pairs = pairs[np.isfinite(pairs).all(axis=1)]
    if len(pairs) < 3 or (pairs.std(axis=0) == 0).any():
        return None
    return float(np.corrcoef(pairs.T)[0, 1])


def dice(one: BoolArray, other: BoolArray) -> float:
    """Overlap of two masks, 1 where both are empty."""
    total = int(one.sum() + other.sum())
    return 1.0 if total == 0 else float(2 * (one & other).sum() / total)


def _run(
    source: PerfusionSlice,
    truth: SliceTruth,
    heart: Heart,
    network: AnatomyNetwork,
    found: dict[str, float],
) -> None:
    """Fill `found` stage by stage, so that what came before a failure is kept."""
    spacing = source.geometry.spacing_mm
    found["peak_frames"] = float(abs(heart.peak_frame - truth.peak_lv_frame))
    around = heart_box(heart.left, heart.right, spacing)
    # The truth shows the anatomy of its own reference frame.
    aligned = align(source.frames, source.time_s, around, truth.reference_frame, spacing)
    regions = segment(aligned.frames, source.time_s, heart, spacing, network)
    box = heart_box(regions.myocardium | regions.lv_pool, regions.rv_pool, spacing)
    found["box_dice"] = _box_dice(box, truth.box, source.frames.shape[1:])
    _expect(regions, found)
    drawn, known = as_drawn(regions, spacing), as_drawn(truth.regions, spacing)
    for name in ("myocardium", "lv_pool", "rv_pool"):
        found[f"{name}_dice"] = dice(getattr(drawn, name), getattr(known, name))
    found["wall_to_edges_dice"] = dice(regions.myocardium, truth.regions.myocardium)
    found["pool_to_edges_dice"] = dice(regions.lv_pool, truth.regions.lv_pool)
    _score_points(regions, source, truth, found)


def _score_points(
    regions: Regions, source: PerfusionSlice, truth: SliceTruth, found: dict[str, float]
) -> None:
    points = insertion_points(regions, source.geometry)
    spacing = np.array(source.geometry.spacing_mm)
    for name in ("anterior", "inferior"):
        away = np.subtract(getattr(points, name), getattr(truth.insertion_points, name))
        found[f"{name}_mm"] = float(np.hypot(*(away * spacing)))
    sectors = aha_sectors(regions, points, truth.level, source.geometry.spacing_mm)
    common = regions.myocardium & truth.regions.myocardium
    if common.any():
        found["sector_share"] = float((sectors == truth.sectors)[common].mean())


def _expect(regions: Regions, found: dict[str, float]) -> None:
    """Note the overlaps that the network expects, where it knows."""
    for name in ("predicted_dice", "predicted_pool_dice"):
        value = getattr(regions, name)
        found[name] = np.nan if value is None else value


def _box_dice(one: Box, other: Box, shape: tuple[int, ...]) -> float:
    masks: list[FloatArray] = []
    for box in (one, other):
        mask = np.zeros(shape, bool)
        mask[box.index] = True
        masks.append(mask)
    return dice(masks[0], masks[1])
