"""A small analysed study in memory: arrays with known content, sources with known headers."""

from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage

from node.config import Results
from node.dicom_read.sources import (
    FirstPassSource,
    FrameSource,
    ReadStudy,
    SetAside,
    SliceSource,
)
from node.dicom_write import encode_results
from pipeline.margins import as_drawn
from pipeline.result import (
    AlignedSeries,
    Box,
    Finding,
    FirstPassResult,
    FitStatus,
    FlowMaps,
    InputFunction,
    InsertionPoints,
    PerfusionResult,
    Regions,
    SegmentFlow,
    SegmentReserve,
    SliceLevel,
    SliceResult,
)
from pipeline.study import (
    FirstPass,
    Origin,
    PerfusionSlice,
    PerfusionStudy,
    SliceGeometry,
    State,
)
from tests.pipeline.blood_phantom import physics, readout

N_TIMES, ROWS, COLUMNS = 12, 48, 56
LEVELS = (SliceLevel.BASAL, SliceLevel.MID, SliceLevel.APICAL)
FIRST_SEGMENT = {SliceLevel.BASAL: 1, SliceLevel.MID: 7, SliceLevel.APICAL: 13}


@dataclass(frozen=True, kw_only=True)
class Source(SliceSource):
    """A slice whose instances are on no disk: all have the same header."""

    base_header: Dataset

    def header(self, frame: int = 0) -> Dataset:
        header = deepcopy(self.base_header)
        header.SOPInstanceUID = self.frames[frame].sop_instance_uid
        return header


@dataclass(frozen=True)
class Case:
    """An analysed study with everything that the encoder takes."""

    result: PerfusionResult
    read: ReadStudy
    config: Results = field(default_factory=Results)
    version: str = "0.1.0"
    settings: str = "model: fermi"

    def encode(self) -> list[Dataset]:
        return encode_results(
            self.result, self.read, self.config, version=self.version, settings=self.settings
        )

    def only(self, *kinds: str) -> "Case":
        """Another case, of which only these objects are made."""
        return replace(self, config=Results(objects=kinds))

    def encode_kind(self, sop_class_uid: str) -> Dataset:
        """The one object of a kind."""
        [found] = [one for one in self.encode() if one.SOPClassUID == sop_class_uid]
        return found

    def with_header(self, change) -> "Case":
        """Another case, whose source headers `change` has edited."""
        sources = []
        for first_pass in self.read.sources:
            slices = []
            for source in first_pass.slices:
                header = deepcopy(source.base_header)
                change(header)
                slices.append(replace(source, base_header=header))
            sources.append(replace(first_pass, slices=tuple(slices)))
        return replace(self, read=replace(self.read, sources=tuple(sources)))


def a_header() -> Dataset:
    header = Dataset()
    header.SpecificCharacterSet = "ISO_IR 100"
    header.SOPClassUID = MRImageStorage
    header.StudyInstanceUID = "1.2.3.4"
    header.PatientName = "Müller^Jürgen"
    header.PatientID = "P-001"
    header.PatientBirthDate = "19600102"
    header.PatientSex = "M"
    header.PatientAge = "066Y"
    header.StudyDate, header.StudyTime = "20260901", "101500"
    header.AcquisitionDate, header.AcquisitionTime = "20260901", "102033.5"
    header.AccessionNumber = "A1"
    header.StudyID = "1"
    header.ReferringPhysicianName = ""
    header.Manufacturer = "Scanner maker"
    header.ManufacturerModelName = "Scanner"
    header.PatientPosition = "HFS"
    header.RepetitionTime, header.EchoTime, header.FlipAngle = "180", "1.1", "12"
    header.MagneticFieldStrength = "1.5"
    return header


def a_geometry(level: int) -> SliceGeometry:
    column = np.array([0.7071068, 0.5, -0.5])
    column /= np.linalg.norm(column)
    row = np.cross([0.5, -0.7071068, 0.3], column)
    row /= np.linalg.norm(row)
    normal = np.cross(column, row)
    position = np.array([-60.0, 20.0, 110.0]) + 10.0 * level * normal
    # Each slice's orientation is off by what headers round away.
    column = np.round(column + level * 1e-7, 8)
    return SliceGeometry(
        position_mm=tuple(map(float, position)),
        column_direction=tuple(map(float, column)),
        row_direction=tuple(map(float, row)),
        spacing_mm=(2.1, 2.0),
        thickness_mm=8.0,
    )


def a_slice(level: int, flow: float) -> tuple[PerfusionSlice, SliceResult]:
    rng = np.random.default_rng(100 * level + int(10 * flow))
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    radius = np.hypot(rows - 24, columns - 30)
    angle = np.degrees(np.arctan2(24 - rows, columns - 30)) % 360
    myocardium = (radius >= 7) & (radius < 11)
    lv_pool = radius < 6
    rv_pool = np.hypot(rows - 24, columns - 12) < 6
    n_sectors = 4 if LEVELS[level] is SliceLevel.APICAL else 6
    sectors = np.where(
        myocardium,
        FIRST_SEGMENT[LEVELS[level]] + (angle // (360 / n_sectors)).astype(int),
        0,
    )
    mbf = np.full((ROWS, COLUMNS), np.nan)
    mbf[myocardium] = flow + 0.1 * rng.standard_normal(int(myocardium.sum()))
    mbf[24, 38] = np.nan  # one pixel of the myocardium was not fitted
    frames = 200.0 + 50.0 * rng.random((N_TIMES, ROWS, COLUMNS)) + 300.0 * lv_pool
    time_s = np.arange(N_TIMES) * 0.9 + 0.1 * level
    perfusion_slice = PerfusionSlice(frames=frames, time_s=time_s, geometry=a_geometry(level))
    result = SliceResult(
        geometry=perfusion_slice.geometry,
        level=LEVELS[level],
        peak_lv_frame=5,
        box=Box(row_start=4, row_stop=44, column_start=2, column_stop=50),
        aligned=AlignedSeries(
            frames=frames,
            reference_frame=5,
            bulk_displacement_mm=np.zeros((N_TIMES, 2)),
            displacement_mm=None,
            frame_weight=np.ones(N_TIMES),
            method="rigid",
        ),
        regions=Regions(
            myocardium=myocardium,
            lv_pool=lv_pool,
            rv_pool=rv_pool,
            wall_probability=np.exp(-((radius - 9) ** 2) / 8),
        ),
        insertion_points=InsertionPoints(anterior=(18.0, 20.5), inferior=(30.0, 20.5)),
        sectors=sectors,
        maps=FlowMaps(
            mbf_ml_min_g=mbf,
            mbf_sd_ml_min_g=np.where(np.isfinite(mbf), 0.2, np.nan),
            delay_s=np.where(np.isfinite(mbf), 1.0, np.nan),
            status=np.where(np.isfinite(mbf), FitStatus.CONVERGED, FitStatus.NOT_FITTED),
        ),
    )
    return perfusion_slice, result


def drawn(one: SliceResult) -> Regions:
    """Outlines as they are sent."""
    return as_drawn(one.regions, one.geometry.spacing_mm)


def drawn_sectors(one: SliceResult):
    """AHA segments as they are sent."""
    return np.where(drawn(one).myocardium, one.sectors, 0)


def a_segment(number: int, flow: float) -> SegmentFlow:
    time_s = np.arange(N_TIMES) * 0.9
    curve = 0.1 * flow * np.clip(time_s - 3, 0, 4)
    return SegmentFlow(
        segment=number,
        mbf_ml_min_g=flow + 0.01 * number,
        mbf_sd_ml_min_g=0.1,
        mbf_pixel_median_ml_min_g=flow + 0.01 * number + 0.02,
        n_pixels=40,
        status=FitStatus.CONVERGED,
        mbf_endo_ml_min_g=0.95 * flow,
        mbf_epi_ml_min_g=1.05 * flow,
        time_s=time_s,
        concentration_mmol_l=curve + 0.01,
        fitted_mmol_l=curve,
    )


def a_source(number: int) -> FirstPassSource:
    return FirstPassSource(
        slices=tuple(
            Source(
                frames=tuple(
                    FrameSource(
                        path=Path(f"IM{number}{level}{time:02d}"),
                        sop_class_uid=MRImageStorage,
                        sop_instance_uid=f"1.2.3.{number}.{level + 1}.{time + 1}",
                        frame_number=None,
                    )
                    for time in range(N_TIMES)
                ),
                series_instance_uid=f"1.2.3.{number}",
                frame_of_reference_uid="1.2.3.4.5",
                base_header=a_header(),
            )
            for level in range(3)
        ),
        time_key="AcquisitionTime",
    )


def a_first_pass(
    state: State, flow: float, number: int, findings: tuple[Finding, ...]
) -> tuple[FirstPass, FirstPassResult, FirstPassSource]:
    made = [a_slice(level, flow) for level in range(3)]
    told = replace(
        physics(readout()),
        origin={
            "field_strength_t": Origin.HEADER,
            "haematocrit": Origin.CONFIGURATION,
            "readout.flip_angle_rad": Origin.HEADER,
            "readout.saturation_efficiency": Origin.DEFAULT,
        },
    )
    time_s = np.arange(N_TIMES) * 0.9
    first_pass = FirstPass(
        label=str(state),
        state=state,
        state_reason=f"series description says '{state}'",
        slices=tuple(one for one, _ in made),
        physics=told,
        heart_rate_bpm=67.0,
    )
    result = FirstPassResult(
        label=str(state),
        state=state,
        slices=tuple(one for _, one in made),
        input_function=InputFunction(
            time_s=time_s,
            concentration_mmol_l=5.0 * np.exp(-((time_s - 5.0) ** 2) / 4.0),
            arrival_s=2.5,
            first_pass_end_s=9.0,
            source="LV pool of slice 1",
        ),
        segments=tuple(a_segment(n, flow) for n in range(1, 17)),
        model="fermi",
        physics=told,
        used=replace(told, readout=readout(efficiency=0.977)),
        heart_rate_bpm=first_pass.heart_rate_bpm,
        findings=findings,
    )
    return first_pass, result, a_source(number)


def a_case(findings: tuple[Finding, ...] = ()) -> Case:
    rest = a_first_pass(State.REST, 0.9, 7, findings)
    stress = a_first_pass(State.STRESS, 2.8, 8, ())
    return Case(
        result=PerfusionResult(
            first_passes=(rest[1], stress[1]),
            reserve=tuple(
                SegmentReserve(segment=n, mpr=(2.8 + 0.01 * n) / (0.9 + 0.01 * n))
                for n in range(1, 17)
            ),
        ),
        read=ReadStudy(
            study=PerfusionStudy(first_passes=(rest[0], stress[0]), notes=("2 series were read.",)),
            sources=(rest[2], stress[2]),
            set_aside=(SetAside(what="series 3", reason="It is a cine series.", files=()),),
        ),
    )
