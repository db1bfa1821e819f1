"""From the files of every vendor's dialect to valid result objects, the truth as the result."""

import pytest

from node.config import Analysis, Results
from node.dicom_phantom import DIALECTS, study_datasets
from node.dicom_read import read_study
from node.dicom_write import encode_results
from pipeline.phantom import PhantomSettings, PhantomStudy, simulate
from tests.node.dicom_write.truth import true_result

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
def phantom() -> PhantomStudy:
    """A small study with rest and stress."""
    return simulate(3, PhantomSettings(n_frames=24, n_slices=2, matrix=80))


@pytest.mark.parametrize("dialect", DIALECTS)
def test_results_of_every_dialect_are_valid(dialect, phantom, tmp_path, verify):
    files = []
    for number, dataset in enumerate(study_datasets(phantom, dialect)):
        files.append(tmp_path / f"{number}.dcm")
        dataset.save_as(files[-1], enforce_file_format=True)
    read = read_study(files, Analysis())
    kinds = ("reference", "segmentation", "parametric-map", "mbf-mr", "report", "motion")
    objects = encode_results(
        true_result(read.study, phantom), read, Results(objects=kinds), version="0", settings="none"
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
