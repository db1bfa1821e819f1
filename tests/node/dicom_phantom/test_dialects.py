import json
import subprocess

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from node.config import Analysis
from node.dicom_phantom import DIALECTS, study_datasets, write_truth
from node.dicom_read import read_study
from pipeline.phantom import PhantomSettings, simulate
from pipeline.study import InputKind, State

SETTINGS = PhantomSettings(
    n_slices=2,
    n_frames=24,
    matrix=48,
    spacing_mm=6.0,
    motion_mm=3.0,
    proton_density=True,
    exact_physics=False,
)


@pytest.fixture(scope="module")
def phantom():
    return simulate(5, SETTINGS)


def write(phantom, dialect, folder, **options):
    paths = []
    for number, dataset in enumerate(study_datasets(phantom, dialect, **options)):
        paths.append(folder / f"{number:04d}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_study_comes_back_from_each_dialect_as_it_was_simulated(phantom, dialect, tmp_path):
    read = read_study(write(phantom, dialect, tmp_path), Analysis()).study
    found = {first_pass.state: first_pass for first_pass in read.first_passes}
    assert set(found) == {State.REST, State.STRESS}
    for wanted in phantom.study.first_passes:
        first_pass = found[wanted.state]
        assert len(first_pass.slices) == len(wanted.slices)
        assert_same_physics(first_pass.physics, wanted.physics)
        for one, expected in zip(first_pass.slices, wanted.slices, strict=True):
            np.testing.assert_allclose(one.time_s, expected.time_s, atol=2e-3)
            assert_same_geometry(one.geometry, expected.geometry)
            assert_proportional(one.frames, expected.frames)
            assert_proportional(one.proton_density, expected.proton_density)


def assert_same_physics(physics, wanted):
    assert physics.field_strength_t == wanted.field_strength_t
    assert physics.dose_mmol_kg == pytest.approx(wanted.dose_mmol_kg, rel=1e-2)
    for name in ("repetition_time_s", "echo_time_s", "flip_angle_rad", "saturation_delay_s"):
        expected = getattr(wanted.readout, name)
        assert getattr(physics.readout, name) == pytest.approx(expected, rel=1e-3), name
    assert physics.readout.pulses_before_centre == wanted.readout.pulses_before_centre


def assert_same_geometry(geometry, wanted):
    np.testing.assert_allclose(geometry.position_mm, wanted.position_mm, atol=1e-3)
    np.testing.assert_allclose(geometry.normal, wanted.normal, atol=1e-6)
    np.testing.assert_allclose(geometry.spacing_mm, wanted.spacing_mm, atol=1e-5)


def assert_proportional(frames, wanted):
    factor = float(np.sum(frames * wanted) / np.sum(wanted * wanted))
    np.testing.assert_allclose(frames / factor, wanted, atol=0.6 / factor)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_validator_finds_no_error_in_any_dialect(phantom, dialect, tmp_path, program):
    dciodvfy = program("dciodvfy")
    by_series = {}
    for dataset in study_datasets(phantom, dialect):
        by_series.setdefault(dataset.SeriesInstanceUID, dataset)
    for number, dataset in enumerate(by_series.values()):
        path = tmp_path / f"{number}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        said = subprocess.run([dciodvfy, path], capture_output=True, text=True, check=False)
        assert "Error" not in said.stderr + said.stdout, said.stderr


@pytest.mark.parametrize("dialect", DIALECTS)
def test_files_without_words_still_hold_two_first_passes(phantom, dialect, tmp_path):
    read = read_study(write(phantom, dialect, tmp_path, named=False), Analysis()).study
    assert len(read.first_passes) == 2


@pytest.mark.parametrize("kind", InputKind)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_separate_input_series_is_found_in_each_dialect(dialect, kind, tmp_path):
    settings = PhantomSettings(
        states=(State.REST,), n_slices=1, n_frames=24, matrix=96, motion_mm=0.0, input_kind=kind
    )
    read = read_study(write(simulate(6, settings), dialect, tmp_path), Analysis()).study
    (first_pass,) = read.first_passes
    assert first_pass.input_series is not None
    assert first_pass.input_series.kind is kind
    ratio = 10.0 if kind is InputKind.DUAL_BOLUS else 1.0
    assert first_pass.input_series.dose_ratio == pytest.approx(ratio, rel=5e-3)


@pytest.mark.parametrize("density", [False, True])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_dual_sequence_keeps_its_times_where_proton_density_frames_come_first(
    dialect, density, tmp_path
):
    settings = PhantomSettings(
        states=(State.REST,),
        n_slices=1,
        n_frames=24,
        matrix=64,
        motion_mm=0.0,
        input_kind=InputKind.DUAL_SEQUENCE,
        proton_density=True,
        input_proton_density=density,
    )
    simulated = simulate(6, settings)
    (wanted,) = simulated.study.first_passes
    read = read_study(write(simulated, dialect, tmp_path), Analysis()).study
    (found,) = read.first_passes
    np.testing.assert_allclose(
        found.input_series.slice.time_s - found.slices[0].time_s[0],
        wanted.input_series.slice.time_s - wanted.slices[0].time_s[0],
        atol=5e-3,
    )
    assert_same_density(found.input_series, wanted.input_series)


def assert_same_density(found, wanted):
    """Proton-density frames of the short readout of the blood come back, or none do."""
    if wanted.slice.proton_density is None:
        assert found.slice.proton_density is None
        return
    assert_proportional(found.slice.frames, wanted.slice.frames)
    assert_proportional(found.slice.proton_density, wanted.slice.proton_density)
    told, expected = found.slice.proton_density_readout, wanted.slice.proton_density_readout
    assert np.isinf(told.saturation_delay_s)
    for name in ("flip_angle_rad", "repetition_time_s", "pulses_before_centre"):
        assert getattr(told, name) == pytest.approx(getattr(expected, name), rel=1e-3), name


@pytest.fixture(scope="module")
def others(phantom):
    return [
        one for one in study_datasets(phantom, "siemens", others=True) if one.SeriesNumber > 900
    ]


def test_series_that_are_no_perfusion_are_valid_and_left_alone(phantom, others, tmp_path, program):
    dciodvfy = program("dciodvfy")
    alone = write(phantom, "siemens", tmp_path)
    added = {}
    for number, dataset in enumerate(others):
        path = tmp_path / f"other{number}.dcm"
        dataset.save_as(path, enforce_file_format=True)
        added.setdefault(dataset.SeriesNumber, []).append(path)
    assert {series: len(paths) for series, paths in added.items()} == {
        901: 3,
        902: 50,
        903: 2,
        904: 2,
    }
    for path in (paths[0] for paths in added.values()):
        said = subprocess.run([dciodvfy, path], capture_output=True, text=True, check=False)
        assert "Error" not in said.stderr + said.stdout, said.stderr
    read = read_study(alone + [path for paths in added.values() for path in paths], Analysis())
    assert [len(p.slices) for p in read.study.first_passes] == [2, 2]
    assert sum(len(source.frames) for p in read.sources for source in p.slices) == 2 * 2 * 24
    said = " ".join(aside.reason for aside in read.set_aside)
    assert len(read.set_aside) == 3
    assert all(word in said for word in ("localizer", "cine", "late enhancement"))


@pytest.mark.parametrize("dialect", ["siemens", "philips", "ge", "enhanced"])
def test_the_t1_map_of_the_study_holds_the_t1_of_the_patient(dialect, tmp_path):
    settings = PhantomSettings(
        states=(State.REST,), n_slices=2, n_frames=24, matrix=96, motion_mm=0.0, disease=False
    )
    phantom = simulate(6, settings)
    read = read_study(write(phantom, dialect, tmp_path, others=True), Analysis()).study
    assert len(read.t1_maps) == 2
    (truth,) = phantom.truth.first_passes
    for known, one in zip(truth.slices, phantom.study.first_passes[0].slices, strict=True):
        (t1_map,) = (
            found
            for found in read.t1_maps
            if np.allclose(found.geometry.position_mm, one.geometry.position_mm, atol=1e-3)
        )
        wall = np.nanmedian(t1_map.t1_s[binary_erosion(known.regions.myocardium)])
        blood = np.nanmedian(t1_map.t1_s[binary_erosion(known.regions.lv_pool, iterations=3)])
        assert wall == pytest.approx(truth.physics.t1_myocardium_s, rel=0.03)
        assert blood == pytest.approx(truth.physics.t1_blood_s, rel=0.03)


def test_the_same_seed_gives_the_same_files(phantom):
    first, again = (next(iter(study_datasets(phantom, "siemens"))) for _ in range(2))
    assert first == again


def test_no_file_names_a_person(phantom):
    names = {str(d.PatientName) for d in study_datasets(phantom, "siemens")}
    assert names == {"PHANTOM^5"}


def test_the_truth_on_disk_is_the_truth(phantom, tmp_path):
    write_truth(phantom, tmp_path)
    known = phantom.truth.first_passes[1].slices[0]
    with np.load(tmp_path / "truth.npz") as arrays:
        np.testing.assert_array_equal(arrays["stress/0/myocardium"], known.regions.myocardium)
        np.testing.assert_array_equal(arrays["stress/0/mbf_ml_min_g"], known.mbf_ml_min_g)
    said = json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))["first_passes"][1]
    physics = phantom.truth.first_passes[1].physics
    assert said["t1_myocardium_s"] == physics.t1_myocardium_s
    assert said["saturation_efficiency"] == physics.readout.saturation_efficiency
