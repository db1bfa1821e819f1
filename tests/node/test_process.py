"""`perfusion-node process`: files in any layout to result objects, or a reason."""

import json

import numpy as np
import pydicom
import pytest
from pydicom.uid import CTImageStorage, generate_uid

from node.cli import main
from node.dicom_phantom import study_datasets
from pipeline.phantom import PhantomSettings, simulate
from pipeline.study import State

# A first injection with proton-density frames: nothing is left for the quality gate to guess at.
SETTINGS = PhantomSettings(
    states=(State.REST,),
    n_slices=1,
    n_frames=50,
    matrix=112,
    motion_mm=0.0,
    contrast_to_noise=30.0,
    proton_density=True,
)


@pytest.fixture(scope="module")
def series(tmp_path_factory):
    """A small rest series without noise and motion, as files."""
    folder = tmp_path_factory.mktemp("series")
    phantom = simulate(8, SETTINGS)
    for number, dataset in enumerate(study_datasets(phantom, "siemens")):
        dataset.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    return folder


@pytest.fixture
def study(tmp_path, series):
    """The series in one subfolder, beside what else a folder may hold."""
    folder = tmp_path / "study"
    images = folder / "deep" / "down"
    images.mkdir(parents=True)
    for file in series.iterdir():
        (images / file.name).write_bytes(file.read_bytes())
    first = min(series.iterdir())
    (folder / "notes.txt").write_text("not a DICOM file")
    (folder / "truncated.dcm").write_bytes(first.read_bytes()[:700])
    ct = pydicom.dcmread(first)
    ct.SOPClassUID = ct.file_meta.MediaStorageSOPClassUID = CTImageStorage
    ct.Modality = "CT"
    ct.SeriesInstanceUID, ct.SeriesNumber = generate_uid(entropy_srcs=["ct"]), 99
    ct.SOPInstanceUID = ct.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=["i"])
    ct.save_as(folder / "ct.dcm")
    return folder


def run(capsys, *arguments):
    code = main(["process", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_perfusion_series_among_other_files_is_analysed_and_each_of_them_is_named(
    study, tmp_path, capsys
):
    code, out, err = run(capsys, study, "--out", tmp_path / "out", "--json")
    answer = json.loads(out)
    assert (code, answer["status"]) == (0, "analysed"), answer["reason"]
    reasons = {one["what"]: one["reason"] for one in answer["set_aside"]}
    assert "file notes.txt" in reasons
    assert any("truncated" in what for what in reasons)
    assert any("CT" in reason for reason in reasons.values())
    assert "rest: where the heart is" in err


def test_what_the_summary_names_is_what_was_written(study, tmp_path, capsys):
    out = tmp_path / "out"
    _, text, _ = run(capsys, study, "--out", out, "--json")
    objects = json.loads(text)["objects"]
    assert {one["file"] for one in objects} == {file.name for file in out.iterdir()}
    for one in objects:
        header = pydicom.dcmread(out / one["file"], stop_before_pixels=True)
        assert header.SOPInstanceUID == one["sop_instance_uid"]
        assert header.SOPClassUID == one["sop_class_uid"]
    assert {"segmentation", "parametric-map", "mbf-mr", "reference"} <= {
        one["kind"] for one in objects
    }


def test_the_table_names_segments_and_says_research_use_only(study, tmp_path, capsys):
    code, out, _ = run(capsys, study, "--out", tmp_path / "out")
    assert code == 0, out
    assert "AHA 07 mid anterior" in out
    assert "Research use only" in out


def test_the_table_holds_both_ways_both_halves_and_the_territories(study, tmp_path, capsys):
    code, text, _ = run(
        capsys, study, "--out", tmp_path / "out", "--json", "--rest-systolic", "120"
    )
    answer = json.loads(text)
    assert code == 0, answer["reason"]
    [rest] = answer["first_passes"]
    assert rest["systolic_pressure_mmhg"] == 120.0
    assert rest["heart_rate_bpm"] > 30
    for one in rest["outlines"]:
        assert 0.5 < one["expected_wall_dice"] <= 1
        assert 0.5 < one["expected_cavity_dice"] <= 1
    territories = {one["territory"]: one for one in rest["territories"]}
    assert set(territories) == {"LAD", "RCA", "LCX", "global"}
    for one in (*rest["segments"], *territories.values()):
        flow, pixels = one["mbf_ml_min_g"], one["mbf_pixel_median_ml_min_g"]
        assert one["pixel_difference_ml_min_g"] == pytest.approx(pixels - flow, abs=2e-4)
    whole = territories["global"]
    assert whole["mbf_endo_ml_min_g"] / whole["mbf_epi_ml_min_g"] == pytest.approx(
        whole["endo_epi_ratio"], abs=1e-3
    )
    assert 0.6 < whole["endo_epi_ratio"] < 1.5
    assert answer["burden"] == []  # no stress


@pytest.mark.parametrize("pressure", ["-3", "16"])  # kPa would scale rest flow sevenfold
def test_a_pressure_that_is_none_in_mmhg_is_a_usage_error(study, tmp_path, capsys, pressure):
    code, _, err = run(capsys, study, "--out", tmp_path / "out", "--rest-systolic", pressure)
    assert code == 2
    assert "pressure" in err


def test_a_study_without_perfusion_is_answered_by_three_and_objects_that_say_why(
    series, tmp_path, capsys
):
    folder = tmp_path / "one image"
    folder.mkdir()
    file = min(series.iterdir())
    (folder / file.name).write_bytes(file.read_bytes())
    code, out, _ = run(capsys, folder, "--out", tmp_path / "out", "--json")
    answer = json.loads(out)
    assert (code, answer["status"]) == (3, "nothing")
    assert answer["reason"]
    assert {one["kind"] for one in answer["objects"]} == {"pictures", "report"}


def test_numbers_that_are_withheld_are_answered_by_four_and_are_nowhere(series, tmp_path, capsys):
    folder = tmp_path / "no bolus"
    folder.mkdir()
    for file in series.iterdir():
        dataset = pydicom.dcmread(file)
        dataset.PixelData = np.full((dataset.Rows, dataset.Columns), 100, np.uint16).tobytes()
        dataset.save_as(folder / file.name)
    code, out, _ = run(capsys, folder, "--out", tmp_path / "out", "--json")
    answer = json.loads(out)
    assert (code, answer["status"]) == (4, "withheld")
    assert answer["reason"]
    assert {one["kind"] for one in answer["objects"]} <= {"pictures", "report"}


def test_an_absent_folder_is_a_usage_error(tmp_path, capsys):
    code, _, err = run(capsys, tmp_path / "absent", "--out", tmp_path / "out")
    assert code == 2
    assert "does not exist" in err


def test_the_real_series_is_analysed_or_withheld_with_a_reason(shared_data, tmp_path, capsys):
    out = tmp_path / "out"
    code, text, _ = run(capsys, shared_data / "ge-first-pass", "--out", out, "--json")
    answer = json.loads(text)
    assert code in (0, 4)
    assert [one["label"] for one in answer["first_passes"]] == ["perfusion 1"]
    assert any(one["kind"] == "segmentation" for one in answer["objects"])
    assert (code == 4) == bool(answer["reason"])


def objects_of(out):
    """SOP Instance UID to kind, as the summary lists what was written."""
    return {one["sop_instance_uid"]: one["kind"] for one in json.loads(out)["objects"]}


def test_results_of_a_study_that_has_grown_replace_the_earlier_ones(
    series, study, tmp_path, capsys
):
    first, second, third = (tmp_path / f"revision-{number}" for number in (1, 2, 3))
    _, out, _ = run(capsys, series, "--out", first, "--json")
    before = objects_of(out)
    grown = ("--json", "--replaces", first)
    _, out, _ = run(capsys, study, "--out", second, *grown)
    after = objects_of(out)
    assert "rejection" in after.values()
    gone = {kind for uid, kind in before.items() if uid not in after}
    assert gone == {"report", "pictures"}  # they tell of what was left alone beside the series
    _, out, _ = run(capsys, study, "--out", third, *grown, "--replaces", second)
    assert objects_of(out) == after
