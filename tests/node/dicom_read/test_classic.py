import numpy as np
import pytest
from pydicom.uid import CTImageStorage

from node.config import Analysis
from node.dicom_read import NoPerfusionError, SeveralPatientsError, read_study
from pipeline.study import Origin, State
from tests.node.instances import Series, update, write


def reasons(set_aside) -> dict[str, str]:
    return {item.what: item.reason for item in set_aside}


def test_the_real_ge_series_is_read_by_its_trigger_times(shared_data):
    read = read_study(sorted((shared_data / "ge-first-pass").iterdir()), Analysis())

    (first_pass,) = read.study.first_passes
    (image_slice,) = first_pass.slices
    assert (first_pass.label, first_pass.state) == ("perfusion 1", State.UNDETERMINED)
    assert image_slice.frames.shape == (79, 256, 256)
    assert first_pass.physics.field_strength_t == 1.5
    assert first_pass.physics.origin["field_strength_t"] is Origin.HEADER
    assert first_pass.heart_rate_bpm == pytest.approx(86)
    assert read.sources[0].time_key == "TriggerTime"
    np.testing.assert_allclose(np.diff(image_slice.time_s), 0.6977, atol=1e-3)
    assert reasons(read.set_aside) == {"file GoldStandard.mat": "it is not a DICOM file"}


def test_rest_and_stress_with_all_slices_in_one_series_each_are_told_apart_by_words(tmp_path):
    stress = Series(number=4, description="perf STRESS", slices=3, start_s=36000).datasets()
    rest = Series(number=9, description="perf_rest", slices=3, start_s=36900).datasets()

    read = read_study(write(stress + rest, tmp_path), Analysis())

    assert [(p.label, p.state) for p in read.study.first_passes] == [
        ("stress", State.STRESS),
        ("rest", State.REST),
    ]
    assert "STRESS" not in read.study.first_passes[0].state_reason  # the plain word only
    assert "'stress'" in read.study.first_passes[0].state_reason
    assert [len(p.slices) for p in read.study.first_passes] == [3, 3]


def test_one_series_per_slice_is_one_first_pass(tmp_path):
    datasets = [
        dataset
        for index in range(3)
        for dataset in Series(number=10 + index, slices=1, first_slice=index).datasets()
    ]

    read = read_study(write(datasets, tmp_path), Analysis())

    (first_pass,) = read.study.first_passes
    assert len(first_pass.slices) == 3
    starts = [float(s.time_s[0]) for s in first_pass.slices]
    assert starts == pytest.approx([0.24, 0.12, 0], abs=1e-6)
    uids = [source.series_instance_uid[-2:] for source in read.sources[0].slices]
    assert sorted(uids) == ["10", "11", "12"]


def test_slices_are_ordered_from_base_to_apex_whatever_their_series_order(tmp_path):
    read = read_study(write(Series(slices=3).datasets(), tmp_path), Analysis())

    centres = [s.geometry.to_patient_mm(np.zeros(2)) for s in read.study.first_passes[0].slices]
    leftwards = [float(centre[0]) for centre in centres]
    assert leftwards == sorted(leftwards)  # the apex lies to the left (LPS: larger x)


def test_each_frame_names_its_instance(tmp_path):
    datasets = Series(slices=2).datasets()
    read = read_study(write(datasets, tmp_path), Analysis())
    value_of = {d.SOPInstanceUID: int(d.pixel_array[0, 0]) for d in datasets}

    for image_slice, source in zip(
        read.study.first_passes[0].slices, read.sources[0].slices, strict=True
    ):
        values = [value_of[frame.sop_instance_uid] for frame in source.frames]
        np.testing.assert_array_equal(image_slice.frames[:, 0, 0], values)
        assert source.header(3).SOPInstanceUID == source.frames[3].sop_instance_uid
        assert "PixelData" not in source.header()


def test_what_is_no_perfusion_image_is_set_aside_with_a_reason(tmp_path):
    datasets = Series(number=5).datasets()
    (tmp_path / "notes.txt").write_text("nothing")
    (tmp_path / "cut").write_bytes(b"\0" * 128 + b"DICM" + b"\x02\x00\x00\x00UL\x04")
    computed = Series(number=6, slices=1, frames=1).datasets()[0]
    update(computed, SOPClassUID=CTImageStorage, Modality="CT", SOPInstanceUID="1.2.3")
    localizer = Series(number=1, description="any", slices=3, frames=1).datasets()
    for dataset in localizer:
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    def beat(_index, time, dataset):
        dataset.TriggerTime = 33.3 * time
        dataset.AcquisitionTime = "101500"

    cine = Series(number=7, description="sax", slices=2, change=beat).datasets()
    late = Series(number=8, description="LGE psir", slices=3, frames=1).datasets()
    everything = [*datasets, computed, *localizer, *cine, *late]

    paths = write(everything, tmp_path)
    read = read_study([*paths, tmp_path / "notes.txt", tmp_path / "cut"], Analysis())

    assert len(read.study.first_passes) == 1
    found = reasons(read.set_aside)
    assert found["file notes.txt"] == "it is not a DICOM file"
    assert "damaged or cut off" in found["file cut"]
    assert "CT Image Storage" in found["series 6"]
    assert "localizer" in found["series 1"]
    assert "cine" in found["series 7"]
    assert "late enhancement" in found["series 8"]


def test_a_cut_off_image_is_left_out_and_the_others_are_read(tmp_path):
    paths = write(Series(frames=30).datasets(), tmp_path)
    paths[7].write_bytes(paths[7].read_bytes()[:-60])

    read = read_study(paths, Analysis())

    assert sorted(s.frames.shape[0] for s in read.study.first_passes[0].slices) == [29, 30]
    assert [item.files for item in read.set_aside] == [(paths[7],)]
    assert "cut off" in read.set_aside[0].reason


def test_nothing_to_analyse_says_what_was_looked_at(tmp_path):
    paths = write(Series(number=8, description="LGE", frames=1).datasets(), tmp_path)

    with pytest.raises(NoPerfusionError, match="series 8: it is late enhancement"):
        read_study(paths, Analysis())


def test_images_of_two_patients_are_refused(tmp_path):
    datasets = Series(number=5).datasets() + Series(number=6, start_s=40000).datasets()
    datasets[-1].PatientID = "P2"

    with pytest.raises(SeveralPatientsError, match="more than one patient"):
        read_study(write(datasets, tmp_path), Analysis())


def test_bare_data_sets_without_a_preamble_are_read(tmp_path):
    paths = []
    for number, dataset in enumerate(Series().datasets()):
        del dataset.file_meta
        path = tmp_path / str(number)
        dataset.save_as(path, implicit_vr=bool(number % 2), little_endian=True)
        paths.append(path)

    read = read_study(paths, Analysis())

    assert [s.frames.shape[0] for s in read.study.first_passes[0].slices] == [24, 24]
    assert read.sources[0].slices[0].header().PatientID == "P1"


def test_what_is_far_too_large_is_not_even_decoded(tmp_path):
    def inflate(_index, _time, dataset):
        dataset.Rows = 65535
        dataset.Columns = 65535

    with pytest.raises(NoPerfusionError, match="larger than any perfusion image"):
        read_study(write(Series(change=inflate).datasets(), tmp_path), Analysis())
