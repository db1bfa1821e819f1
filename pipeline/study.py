"""What travels into the pipeline: first passes of contrast agent, with geometry and physics.

All types are frozen; arrays in them are not to be written to. Axes are [time, row, column].
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import InvalidStudyError

FloatArray = NDArray[Any]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[Any]


class State(StrEnum):
    """The physiological state during a first pass."""

    REST = "rest"
    STRESS = "stress"
    UNDETERMINED = "undetermined"


class SequenceKind(StrEnum):
    """The readout after the saturation pulse."""

    SPOILED_GRADIENT_ECHO = "spoiled gradient echo"
    BALANCED_SSFP = "balanced SSFP"


class Origin(StrEnum):
    """Where a physical value came from."""

    HEADER = "header"
    PRIVATE_HEADER = "private header"
    CONFIGURATION = "configuration"
    MEASURED = "measured in the images"
    DEFAULT = "default"


class InputKind(StrEnum):
    """How a separate input function series was acquired."""

    DUAL_SEQUENCE = "dual sequence"
    DUAL_BOLUS = "dual bolus"


@dataclass(frozen=True, kw_only=True)
class Readout:
    """A saturation-recovery readout, pulse by pulse.

    Time from saturation to the centre of k-space is
    ``saturation_delay_s + pulses_before_centre * repetition_time_s``.
    """

    sequence: SequenceKind
    repetition_time_s: float
    """Between two readout pulses [s] (often not the header's RepetitionTime)."""
    echo_time_s: float
    flip_angle_rad: float
    saturation_delay_s: float
    """End of the saturation pulse to the first readout pulse [s]; infinite: no saturation."""
    pulses_before_centre: int
    """Readout pulses played before the one at the centre of k-space."""
    saturation_efficiency: float = 1.0
    """1: no longitudinal magnetisation is left by the saturation pulse; 0: all of it; a little more
    than 1: it is turned beyond the transverse plane."""

    def __post_init__(self) -> None:
        for name in ("repetition_time_s", "flip_angle_rad", "saturation_delay_s"):
            if not getattr(self, name) > 0:
                raise InvalidStudyError(f"{name} must be positive, is {getattr(self, name)}")
        if self.echo_time_s < 0 or self.pulses_before_centre < 0:
            raise InvalidStudyError("echo_time_s and pulses_before_centre must not be negative")
        if not 0 < self.saturation_efficiency <= 1.2:
            raise InvalidStudyError(
                f"saturation_efficiency must lie in (0, 1.2], is {self.saturation_efficiency}"
            )

    @property
    def time_to_centre_s(self) -> float:
        """Saturation pulse to the centre of k-space [s] (TS, often given as TI)."""
        return self.saturation_delay_s + self.pulses_before_centre * self.repetition_time_s


@dataclass(frozen=True, kw_only=True)
class Physics:
    """What the signal model of one first pass needs beside the images."""

    field_strength_t: float
    readout: Readout
    r1_relaxivity_l_mmol_s: float
    """Longitudinal relaxivity of the contrast agent [L/mmol/s]."""
    r2_star_relaxivity_l_mmol_s: float
    """Effective transverse relaxivity of the contrast agent in blood [L/mmol/s]."""
    t1_blood_s: float
    t1_myocardium_s: float
    haematocrit: float
    blood_replaced_per_s: float = 0.0
    """Share of the blood in a slice that flows out of it in a second, for fresh one [1/s]."""
    dose_mmol_kg: float | None = None
    """Contrast agent given for this first pass [mmol/kg]; None: not known."""
    origin: Mapping[str, Origin] = field(default_factory=dict)
    """Field name (``readout.flip_angle_rad`` for the readout's) to where its value came from."""


PARAMETER_NAMES: Final[Mapping[str, str]] = {
    "field_strength_t": "field strength",
    "readout.sequence": "sequence",
    "readout.repetition_time_s": "time between readout pulses",
    "readout.echo_time_s": "echo time",
    "readout.flip_angle_rad": "flip angle",
    "readout.saturation_delay_s": "saturation delay",
    "readout.pulses_before_centre": "pulses before the centre of k-space",
    "readout.saturation_efficiency": "saturation efficiency",
    "r1_relaxivity_l_mmol_s": "longitudinal relaxivity",
    "r2_star_relaxivity_l_mmol_s": "transverse relaxivity in blood",
    "t1_blood_s": "T1 of blood",
    "t1_myocardium_s": "T1 of myocardium",
    "blood_replaced_per_s": "blood replaced in a slice",
    "haematocrit": "haematocrit",
    "dose_mmol_kg": "dose",
}
"""Fields of `Physics`, as its `origin` names them, in words for people."""


@dataclass(frozen=True, kw_only=True)
class SliceGeometry:
    """Where a slice lies in the patient (DICOM PS3.3 C.7.6.2.1.1; LPS, millimetres)."""

    position_mm: tuple[float, float, float]
    """Centre of the first pixel (ImagePositionPatient)."""
    column_direction: tuple[float, float, float]
    """Unit vector along increasing column index (ImageOrientationPatient, first three)."""
    row_direction: tuple[float, float, float]
    """Unit vector along increasing row index (ImageOrientationPatient, last three)."""
    spacing_mm: tuple[float, float]
    """Between rows, between columns (the order of PixelSpacing)."""
    thickness_mm: float

    @property
    def normal(self) -> FloatArray:
        """Unit vector through the slice [3]."""
        normal: FloatArray = np.cross(
            np.asarray(self.column_direction), np.asarray(self.row_direction)
        )
        return normal

    def to_patient_mm(self, points_row_column: FloatArray) -> FloatArray:
        """Map pixel coordinates [..., 2] (row, column; pixel centres whole) to LPS mm [..., 3]."""
        points = np.asarray(points_row_column, dtype=float)
        along_rows = points[..., :1] * self.spacing_mm[0] * np.asarray(self.row_direction)
        along_columns = points[..., 1:2] * self.spacing_mm[1] * np.asarray(self.column_direction)
        return np.asarray(self.position_mm) + along_rows + along_columns

    def to_pixel(self, points_mm: FloatArray) -> FloatArray:
        """Project LPS points [..., 3] on the slice: pixel coordinates [..., 2] (row, column)."""
        away = np.asarray(points_mm, dtype=float) - np.asarray(self.position_mm)
        row = away @ np.asarray(self.row_direction) / self.spacing_mm[0]
        column = away @ np.asarray(self.column_direction) / self.spacing_mm[1]
        return np.stack([row, column], axis=-1)


@dataclass(frozen=True, kw_only=True, eq=False)
class PerfusionSlice:
    """One short-axis slice of a first pass."""

    frames: FloatArray
    """Signal magnitude, comparable between frames [a.u.], [time, row, column]."""
    time_s: FloatArray
    """Acquisition time after the first frame of the first pass [s], strictly rising, [time]."""
    geometry: SliceGeometry
    proton_density: FloatArray | None = None
    """Proton-density weighted frames taken before the bolus [frame, row, column]."""
    proton_density_readout: Readout | None = None

    def __post_init__(self) -> None:
        if self.frames.ndim != 3:
            raise InvalidStudyError(f"frames must be [time, row, column], is {self.frames.shape}")
        if self.time_s.shape != self.frames.shape[:1]:
            raise InvalidStudyError(
                f"{self.frames.shape[0]} frames but {self.time_s.shape} acquisition times"
            )
        if np.any(np.diff(self.time_s) <= 0):
            raise InvalidStudyError("acquisition times do not rise strictly")


@dataclass(frozen=True, kw_only=True, eq=False)
class SecondEcho:
    """The same images a little later after each pulse: they show T2*."""

    frames: FloatArray
    """Signal magnitude on the scale of the first echo [time, row, column]."""
    echo_time_s: float


@dataclass(frozen=True, kw_only=True, eq=False)
class InputSeries:
    """A separate series from which the arterial input function is read."""

    kind: InputKind
    slice: PerfusionSlice
    readout: Readout
    dose_ratio: float = 1.0
    """Dose of the main bolus over the dose of this series' bolus (10 for a 1:10 dual bolus)."""
    second_echo: SecondEcho | None = None

    def __post_init__(self) -> None:
        later = self.second_echo
        if later is None:
            return
        if later.frames.shape != self.slice.frames.shape:
            raise InvalidStudyError(
                f"the first echo has frames {self.slice.frames.shape}, the second "
                f"{later.frames.shape}"
            )
        if not later.echo_time_s > self.readout.echo_time_s:
            raise InvalidStudyError("the second echo does not come after the first")


@dataclass(frozen=True, kw_only=True, eq=False)
class FirstPass:
    """One first pass of contrast agent, imaged in one or several short-axis slices."""

    label: str
    """What people call it: ``rest``, ``stress`` or ``perfusion 1``."""
    state: State
    state_reason: str
    """Why this state, for the report: ``series description says 'stress'``."""
    slices: tuple[PerfusionSlice, ...]
    """Ordered from base to apex."""
    physics: Physics
    heart_rate_bpm: float | None = None
    systolic_pressure_mmhg: float | None = None
    input_series: InputSeries | None = None

    def __post_init__(self) -> None:
        if not self.slices:
            raise InvalidStudyError(f"first pass '{self.label}' has no slice")


@dataclass(frozen=True, kw_only=True, eq=False)
class T1Map:
    """A map of T1 before any contrast agent."""

    t1_s: FloatArray
    """[row, column]; NaN where there is none."""
    geometry: SliceGeometry
    name: str
    """What people call it: ``series 12``."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PerfusionStudy:
    """Everything of one examination that can be analysed."""

    first_passes: tuple[FirstPass, ...]
    notes: tuple[str, ...] = ()
    """What was decided while reading, as sentences for the report."""
    t1_maps: tuple[T1Map, ...] = ()
