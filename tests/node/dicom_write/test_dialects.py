"""From the files of every vendor's dialect to valid result objects, the truth as the result."""

import numpy as np
import pytest

from node.config import Analysis, Results
from node.dicom_phantom import DIALECTS, study_datasets
from node.dicom_read import read_study
from node.dicom_write import encode_results
from pipeline.phantom import PhantomSettings, PhantomStudy, simulate
from pipeline.result import (
    AlignedSeries,
    FirstPassResult,
    FitStatus,
    FlowMaps,
    PerfusionResult,
    SegmentFlow,
    SliceResult,
)

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def phantom() -> PhantomStudy:
    """A small study with rest and stress."""
    return simulate(3, PhantomSettings(n_frames=24, n_slices=2, matrix=80))


def true_slice(first_pass, truth, number) -> SliceResult:
    """A slice's result, as if the analysis were perfect."""
    one, known = first_pass.slices[number], truth.slices[number]
    n_frames = len(one.frames)
    measured = np.isfinite(known.mbf_ml_min_g)
    return SliceResult(
        geometry=one.geometry,
        level=known.level,
        peak_lv_frame=known.peak_lv_frame,
        box=known.box,
        aligned=AlignedSeries(
            frames=one.frames,
            reference_frame=known.reference_frame,
            bulk_displacement_mm=np.zeros((n_frames, 2)),
            displacement_mm=None,
            frame_weight=np.ones(n_frames),
            method="none",
        ),
        regions=known.regions,
        insertion_points=known.insertion_points,
        sectors=known.sectors,
        maps=FlowMaps(
            mbf_ml_min_g=known.mbf_ml_min_g,
            mbf_sd_ml_min_g=np.where(measured, 0.1, np.nan),
            delay_s=np.where(measured, 1.0, np.nan),
            status=np.where(measured, FitStatus.CONVERGED, FitStatus.NOT_FITTED),
        ),
    )


def true_result(read, phantom) -> PerfusionResult:
    """The whole study's result, as if the analysis were perfect."""
    results = []
    for first_pass in read.study.first_passes:
        [truth] = [one for one in phantom.truth.first_passes if one.state is first_pass.state]
        results.append(
            FirstPassResult(
                label=first_pass.label,
                state=first_pass.state,
                slices=tuple(
                    true_slice(first_pass, truth, number)
                    for number in range(len(first_pass.slices))
                ),
                input_function=truth.input_function,
                segments=tuple(
                    SegmentFlow(
                        segment=segment,
                        mbf_ml_min_g=flow,
                        mbf_sd_ml_min_g=0.1,
                        mbf_pixel_median_ml_min_g=flow,
                        n_pixels=50,
                        status=FitStatus.CONVERGED,
                    )
                    for segment, flow in sorted(truth.segment_mbf_ml_min_g.items())
                ),
                model="btex",
            )
        )
    return PerfusionResult(first_passes=tuple(results))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_results_of_every_dialect_are_valid(dialect, phantom, tmp_path, verify):
    files = []
    for number, dataset in enumerate(study_datasets(phantom, dialect)):
        files.append(tmp_path / f"{number}.dcm")
        dataset.save_as(files[-1], enforce_file_format=True)
    read = read_study(files, Analysis())
    kinds = ("reference", "segmentation", "parametric-map", "mbf-mr", "report", "motion")
    objects = encode_results(
        true_result(read, phantom), read, Results(objects=kinds), version="0", settings="none"
    )
    one_a_series = {one.SeriesInstanceUID: one for one in objects}.values()
    assert len(one_a_series) == 2 * 7 + 1
    assert {one.SeriesDescription: verify(one) for one in one_a_series} == {
        one.SeriesDescription: [] for one in one_a_series
    }
    sources = {
        (frame.sop_instance_uid, frame.frame_number)
        for first_pass in read.sources
        for one in first_pass.slices
        for frame in one.frames
    }
    made = {(one.SOPInstanceUID, None) for one in objects}
    for one in objects:
        for item in one.get("SourceImageSequence", []):
            number = item.get("ReferencedFrameNumber")
            assert (item.ReferencedSOPInstanceUID, number) in sources | made
