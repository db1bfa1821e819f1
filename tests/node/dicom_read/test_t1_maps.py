"""Which series is a native T1 map, and in which unit."""

import numpy as np
import pytest
from pydicom import Dataset

from node.config import Analysis
from node.dicom_phantom import DIALECTS, study_datasets
from node.dicom_read import NoPerfusionError, read_study
from pipeline.native_t1 import Outline, measure_native_t1
from pipeline.phantom import PhantomSettings, simulate
from pipeline.study import State
from tests.node.instances import Series, clock, set_pixels, update, write

START_S = 10 * 3600.0


def t1_series(description="T1 map SAX", taken_s=START_S - 600, types="T1 MAP", value=1000, **more):
    """One map a slice, ten minutes before the first pass."""

    def change(_index, _time, dataset):
        update(dataset, ImageType=["DERIVED", "PRIMARY", types], AcquisitionTime=clock(taken_s))
        set_pixels(dataset, np.full((12, 10), value, dtype=np.uint16))
        for keyword, content in more.items():
            setattr(dataset, keyword, content)

    return Series(number=12, description=description, frames=1, change=change).datasets()


def mapping(unit, slope):
    code, item = Dataset(), Dataset()
    update(code, CodeValue=unit, CodingSchemeDesignator="UCUM", CodeMeaning=unit)
    update(
        item,
        RealWorldValueSlope=slope,
        RealWorldValueIntercept=0.0,
        MeasurementUnitsCodeSequence=[code],
    )
    return [item]


def read(maps, tmp_path):
    return read_study(write([*Series().datasets(), *maps], tmp_path), Analysis())


@pytest.mark.parametrize(
    "maps",
    [
        t1_series(),
        t1_series("MOLLI_T1_Map", types="M"),
        t1_series(value=500, RescaleSlope=2, RescaleIntercept=0, RescaleType="US"),
        t1_series(value=500, RescaleSlope=2, RescaleIntercept=0, RescaleType="ms"),
        t1_series(value=100, RealWorldValueMappingSequence=mapping("ms", 10.0)),
        t1_series(value=100, RealWorldValueMappingSequence=mapping("s", 0.01)),
    ],
    ids=["type", "name", "rescaled", "rescale type", "mapped ms", "mapped s"],
)
def test_a_native_map_is_read_in_seconds_whatever_says_its_unit(maps, tmp_path):
    result = read(maps, tmp_path)
    assert [one.name for one in result.study.t1_maps] == ["series 12", "series 12"]
    for one, image_slice in zip(
        result.study.t1_maps, result.study.first_passes[0].slices, strict=True
    ):
        np.testing.assert_allclose(one.t1_s, 1.0, rtol=1e-5)
        assert one.geometry in [here.geometry for here in result.study.first_passes[0].slices]
        assert image_slice.frames.shape[0] == 24
    assert "series 12 is a T1 map taken before contrast agent was given." in result.study.notes
    assert not [one for one in result.set_aside if one.what == "series 12"]


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        (t1_series(taken_s=START_S + 900), "after contrast agent"),
        (t1_series("T1 map post 15min"), "with contrast agent"),
        (t1_series(FrameOfReferenceUID="1.2.3"), "other coordinates"),
        (t1_series(RescaleType="HZ", RescaleSlope=1, RescaleIntercept=0), "milliseconds"),
        (t1_series(RealWorldValueMappingSequence=mapping("%", 1.0)), "milliseconds"),
        (t1_series("T1 map error", types="M"), "a map"),
        (t1_series("ECV map", types="ECV"), "a map"),
    ],
)
def test_other_maps_are_set_aside_with_the_reason(maps, words, tmp_path):
    result = read(maps, tmp_path)
    assert result.study.t1_maps == ()
    [reason] = [one.reason for one in result.set_aside if one.what == "series 12"]
    assert words in reason


def test_what_is_no_time_is_no_value(tmp_path):
    maps = t1_series(value=0)
    result = read(maps, tmp_path)
    assert all(np.isnan(one.t1_s).all() for one in result.study.t1_maps)


def test_a_t1_map_alone_is_no_perfusion_study(tmp_path):
    with pytest.raises(NoPerfusionError, match="T1 map without a first pass"):
        read_study(write(t1_series(), tmp_path), Analysis())


@pytest.fixture(scope="module")
def phantom():
    settings = PhantomSettings(states=(State.REST,), n_slices=2, n_frames=24, matrix=96)
    return simulate(905, settings)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_patients_own_t1_comes_out_of_every_dialect(phantom, dialect, tmp_path):
    files = write(study_datasets(phantom, dialect, others=True), tmp_path)
    study = read_study(files, Analysis()).study
    truth = phantom.truth.first_passes[0]
    outlines = [
        Outline(geometry=image_slice.geometry, regions=known.regions)
        for image_slice, known in zip(study.first_passes[0].slices, truth.slices, strict=True)
    ]
    found = measure_native_t1(study.t1_maps, outlines, truth.physics.field_strength_t)
    assert len(study.t1_maps) == 2
    assert found.blood_s == pytest.approx(truth.physics.t1_blood_s, rel=0.03)
    assert found.myocardium_s == pytest.approx(truth.physics.t1_myocardium_s, rel=0.03)
