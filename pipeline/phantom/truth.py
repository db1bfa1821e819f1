"""What is known about a simulated study because it was put in. Axes are [time, row, column]."""

from dataclasses import dataclass

from pipeline.phantom.settings import PhantomSettings
from pipeline.result import Box, InputFunction, InsertionPoints, Regions, SliceLevel
from pipeline.study import BoolArray, FloatArray, IntArray, PerfusionStudy, Physics, State


@dataclass(frozen=True, kw_only=True, eq=False)
class SliceTruth:
    """Truth of one slice; masks, points and maps are those of the reference frame."""

    reference_frame: int
    """The frame whose anatomy the masks show: the peak LV frame."""
    peak_lv_frame: int
    """Frame at which the LV blood holds most contrast agent."""
    level: SliceLevel
    regions: Regions
    """`lv_pool` is the whole cavity, with papillary muscles and trabeculae, as people draw it."""
    box: Box
    """The tightest box around both ventricles with their walls."""
    insertion_points: InsertionPoints
    sectors: IntArray
    """AHA segment in the myocardium, 0 elsewhere [row, column]."""
    mbf_ml_min_g: FloatArray
    """NaN outside the myocardium [row, column]."""
    displacement_mm: FloatArray
    """Where the heart was, relative to the reference frame [time, (row, column)]."""
    labels: IntArray
    """Per frame: 1 myocardium, 2 LV pool, 3 RV pool, 4 RV wall, 0 else [time, row, column]."""
    usable: BoolArray
    """False where the frame was taken in the wrong cardiac phase or was cut elsewhere [time]."""
    field_mm: FloatArray | None = None
    """Tissue at x in the reference frame is at x + field in frame t [time, 2, row, column]."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FirstPassTruth:
    """Truth of one first pass."""

    label: str
    state: State
    slices: tuple[SliceTruth, ...]
    input_function: InputFunction
    """Gadolinium in the whole blood of the LV beyond `residual_mmol_l`, on a fine grid of times."""
    segment_mbf_ml_min_g: dict[int, float]
    """AHA segment to the mean flow of its pixels."""
    physics: Physics
    """As the body and the scanner are; the study's physics may only be nominal."""
    flip_scale: float
    """True flip angle over the nominal one, at the axis of the LV."""
    residual_mmol_l: float
    """Left in the blood by an earlier injection."""
    heart_rate_bpm: float
    start_s: float
    """First frame, after the first frame of the study."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PhantomTruth:
    """Truth of one study."""

    seed: int
    description: str
    """What kind of patient and acquisition this is, in words."""
    weight_kg: float
    settings: PhantomSettings
    """With the seed, these are the whole study."""
    first_passes: tuple[FirstPassTruth, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class PhantomStudy:
    """A simulated study with its truth; both in the order of the first passes."""

    study: PerfusionStudy
    truth: PhantomTruth
