"""What travels out of the pipeline: regions, maps, tables, quality, and why something is missing.

Pixel coordinates are (row, column) with whole numbers at pixel centres; masks and maps have the
grid of the slice's frames. Flow is in mL/min/g.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import numpy as np

from pipeline.study import (
    BoolArray,
    FloatArray,
    InputKind,
    IntArray,
    Physics,
    SliceGeometry,
    State,
)


class Severity(StrEnum):
    """What a finding means for the numbers."""

    NOTE = "note"
    WARNING = "warning"
    WITHHOLD = "withhold"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One observation of the quality gate, in words for the report."""

    code: str
    """Short and stable, for machines: ``input-function-saturated``."""
    severity: Severity
    sentence: str


class SliceLevel(StrEnum):
    """Level of a short-axis slice (AHA 2002, doi 10.1161/hc0402.102975)."""

    BASAL = "basal"
    MID = "mid-ventricular"
    APICAL = "apical"


class FitStatus(IntEnum):
    """How the fit of one curve ended. A curve that fails is data, not an exception."""

    NOT_FITTED = 0
    CONVERGED = 1
    AT_BOUND = 2
    TOO_NOISY = 3
    FAILED = 4


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle of pixels, half open: rows ``row_start <= row < row_stop``."""

    row_start: int
    row_stop: int
    column_start: int
    column_stop: int

    @property
    def index(self) -> tuple[slice, slice]:
        """For indexing the last two axes: ``frames[..., *box.index]``."""
        return slice(self.row_start, self.row_stop), slice(self.column_start, self.column_stop)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns inside."""
        return self.row_stop - self.row_start, self.column_stop - self.column_start


@dataclass(frozen=True, kw_only=True, eq=False)
class AlignedSeries:
    """Frames after motion compensation, on the grid of the source frames."""

    frames: FloatArray
    """[time, row, column]."""
    reference_frame: int
    bulk_displacement_mm: FloatArray
    """Rigid part: where the heart was, relative to the reference frame, [time, (row, column)]."""
    displacement_mm: FloatArray | None
    """Whole field [time, (row, column), row, column]; None where only the bulk part was kept."""
    frame_weight: FloatArray
    """1: usable, 0: not to be used in the fit (wrong cardiac phase, beyond repair), [time]."""
    method: str
    """``none``, ``rigid`` or ``rigid and non-rigid``."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Regions:
    """Masks of one slice [row, column], disjoint."""

    myocardium: BoolArray
    lv_pool: BoolArray
    rv_pool: BoolArray
    wall_probability: FloatArray | None = None
    """Of each pixel to be mostly left ventricular myocardium; None where the method gives none."""
    predicted_dice: float | None = None
    """Overlap to be expected of the myocardium with the true one, both outlined as by
    `margins.as_drawn`; None: not known."""
    predicted_pool_dice: float | None = None
    """Likewise of the left ventricular pool."""
    insertion: FloatArray | None = None
    """Per pixel, 1 where the RV wall joins the septum, falling off around it; None: not known."""


@dataclass(frozen=True, kw_only=True)
class InsertionPoints:
    """Where the right ventricular wall joins the septum, (row, column)."""

    anterior: tuple[float, float]
    inferior: tuple[float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class InputFunction:
    """Arterial input function of one first pass."""

    time_s: FloatArray
    """Same origin as the slices' times, [time]."""
    concentration_mmol_l: FloatArray
    """Gadolinium in whole blood [mmol/L], [time]."""
    arrival_s: float
    """Foot of the bolus."""
    first_pass_end_s: float
    """End of the first pass, before recirculation lifts the curve."""
    source: str
    """``LV pool of slice 1``, ``dual sequence series`` …"""
    series: InputKind | None = None
    """Of the series made for it, where it comes from one; None: from the slices."""
    saturated: bool = False
    """The readout was near its ceiling at the peak: the amplitude is uncertain."""
    spread: float = 0.0
    """Standard deviation of the logarithm of its height that the scale of a separate readout leaves
    open, and a peak that had to be restored."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FlowMaps:
    """Parameters of the fit of one slice [row, column]; NaN where `status` says not fitted."""

    mbf_ml_min_g: FloatArray
    mbf_sd_ml_min_g: FloatArray
    delay_s: FloatArray
    status: IntArray
    """`FitStatus` values."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SliceResult:
    """One slice, analysed."""

    geometry: SliceGeometry
    level: SliceLevel
    peak_lv_frame: int
    box: Box
    aligned: AlignedSeries
    regions: Regions
    insertion_points: InsertionPoints
    sectors: IntArray
    """AHA segment number 1-16 in the myocardium, 0 elsewhere, [row, column]."""
    maps: FlowMaps


@dataclass(frozen=True, kw_only=True, eq=False)
class RegionFlow:
    """Blood flow of a part of the myocardium in one state; NaN where there is no number."""

    mbf_ml_min_g: float
    """Fitted on the mean curves of the AHA segments in it."""
    mbf_sd_ml_min_g: float
    """Of noise in the curves and of the model; what moves all flows of a first pass together is not
    in it."""
    mbf_pixel_median_ml_min_g: float
    """Median of the pixel fits: the second way to the same number."""
    n_pixels: int
    mbf_endo_ml_min_g: float = float("nan")
    """Fitted on the mean curve of the inner half of the wall."""
    mbf_epi_ml_min_g: float = float("nan")
    """Of the outer half."""
    mbf_model_sd_ml_min_g: float = 0.0
    """The part of the standard deviation that all segments have in common."""

    @property
    def pixel_difference_ml_min_g(self) -> float:
        """By how much the second way reads more than the first."""
        return self.mbf_pixel_median_ml_min_g - self.mbf_ml_min_g

    @property
    def endo_epi_ratio(self) -> float:
        """Flow of the inner over that of the outer half of the wall."""
        return self.mbf_endo_ml_min_g / self.mbf_epi_ml_min_g


def merged_sd_ml_min_g(parts: Sequence[RegionFlow]) -> tuple[float, float]:
    """Find the standard deviation of the mean flow of parts by pixels, and that of the model.

    Noise averages out between parts, the error of the model does not.
    """
    n_pixels = np.array([one.n_pixels for one in parts])
    share = n_pixels / n_pixels.sum()
    whole = np.array([one.mbf_sd_ml_min_g for one in parts])
    of_model = np.array([one.mbf_model_sd_ml_min_g for one in parts])
    noise = np.sqrt(np.maximum(whole**2 - of_model**2, 0.0))
    common = float(share @ of_model)
    return float(np.hypot(np.linalg.norm(share * noise), common)), common


@dataclass(frozen=True, kw_only=True, eq=False)
class SegmentFlow(RegionFlow):
    """Blood flow of one AHA segment in one state."""

    segment: int
    status: FitStatus
    time_s: FloatArray = field(default_factory=lambda: np.empty(0))
    concentration_mmol_l: FloatArray = field(default_factory=lambda: np.empty(0))
    fitted_mmol_l: FloatArray = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True, kw_only=True, eq=False)
class FirstPassResult:
    """One first pass, analysed."""

    label: str
    state: State
    slices: tuple[SliceResult, ...]
    input_function: InputFunction
    segments: tuple[SegmentFlow, ...]
    """Ordered by AHA segment number; segments that no slice covers are absent."""
    model: str
    """The kinetic model that was fitted."""
    physics: Physics
    """As header, configuration and T1 maps tell it."""
    used: Physics
    """As the images calibrated it: what the numbers rest on."""
    heart_rate_bpm: float | None = None
    systolic_pressure_mmhg: float | None = None
    findings: tuple[Finding, ...] = ()

    @property
    def withheld(self) -> bool:
        """Whether the quality gate keeps the numbers back."""
        return any(finding.severity is Severity.WITHHOLD for finding in self.findings)

    @property
    def rate_pressure_product(self) -> float | None:
        """Heart rate times systolic pressure [mmHg/min]; None where one of them is not known."""
        if self.heart_rate_bpm is None or self.systolic_pressure_mmhg is None:
            return None
        return self.heart_rate_bpm * self.systolic_pressure_mmhg


@dataclass(frozen=True, kw_only=True)
class FirstPassFailure:
    """A first pass that could not be analysed, and why."""

    label: str
    state: State
    reason: str


@dataclass(frozen=True, kw_only=True)
class Reserve:
    """Myocardial perfusion reserve: stress MBF over rest MBF."""

    mpr: float
    mpr_corrected: float | None = None
    """With rest MBF corrected for the rate-pressure product; None where that is not known."""


@dataclass(frozen=True, kw_only=True)
class SegmentReserve(Reserve):
    """Perfusion reserve of one AHA segment."""

    segment: int


class BurdenBy(StrEnum):
    """What is held against a threshold to call myocardium ischaemic."""

    STRESS_FLOW = "stress MBF"
    RESERVE = "MPR"


@dataclass(frozen=True, kw_only=True)
class Burden:
    """How much of the myocardium lies below a configured threshold."""

    by: BurdenBy
    threshold: float
    """[mL/min/g] for flow."""
    share: float
    """Of the myocardium that was measured, 0 to 1."""

    @property
    def sentence(self) -> str:
        """For report and pages."""
        unit = " mL/min/g" if self.by is BurdenBy.STRESS_FLOW else ""
        return (
            f"{self.share:.0%} of the myocardium that was measured has {self.by} below "
            f"{self.threshold:g}{unit} (configured threshold)."
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class PerfusionResult:
    """The answer for one examination."""

    first_passes: tuple[FirstPassResult, ...]
    failures: tuple[FirstPassFailure, ...] = ()
    reserve: tuple[SegmentReserve, ...] = ()
    burden: tuple[Burden, ...] = ()
    """One for each configured threshold that could be applied."""
    findings: tuple[Finding, ...] = ()
    """Of the study as a whole, beside those of each first pass."""

    @property
    def withheld(self) -> bool:
        """Whether no first pass has numbers that may be shown."""
        return all(first_pass.withheld for first_pass in self.first_passes)
