import numpy as np
import pytest
from pydicom import Dataset

from node.config import Analysis
from node.dicom_read import NoPerfusionError, read_study
from tests.node.instances import Series, enhanced, write


def read(datasets, folder):
    return read_study(write(datasets, folder), Analysis())


@pytest.mark.parametrize("legacy", [False, True], ids=["enhanced", "legacy converted"])
def test_one_multi_frame_instance_reads_like_the_classic_images_in_it(tmp_path, legacy):
    classic = Series(description="rest perf", slices=3).datasets()
    expected = read(classic, tmp_path / "classic")

    found = read([enhanced(classic, uid="1.2.3", legacy=legacy)], tmp_path / "one")

    assert found.study.first_passes[0].physics == expected.study.first_passes[0].physics
    assert found.study.first_passes[0].label == "rest"
    assert found.study.first_passes[0].heart_rate_bpm == pytest.approx(75)
    for one, other in zip(
        found.study.first_passes[0].slices, expected.study.first_passes[0].slices, strict=True
    ):
        np.testing.assert_array_equal(one.frames, other.frames)
        np.testing.assert_allclose(one.time_s, other.time_s, atol=1e-6)
        assert one.geometry == other.geometry


def test_sources_name_the_frames_of_the_instance(tmp_path):
    classic = Series(slices=2).datasets()
    found = read([enhanced(classic, uid="1.2.3")], tmp_path)

    numbers = [frame.frame_number for s in found.sources[0].slices for frame in s.frames]
    assert sorted(numbers) == list(range(1, 49))
    for image_slice, source in zip(
        found.study.first_passes[0].slices, found.sources[0].slices, strict=True
    ):
        for image, frame in zip(image_slice.frames, source.frames, strict=True):
            assert image[0, 0] == classic[frame.frame_number - 1].pixel_array[0, 0]
            assert frame.sop_instance_uid == "1.2.3"
        assert source.header().PatientID == "P1"


def test_one_instance_for_each_time_is_one_first_pass(tmp_path):
    classic = Series(slices=2).datasets()
    instances = [
        enhanced([d for d in classic if d.InstanceNumber % 24 == time], uid=f"1.2.{time + 1}")
        for time in range(24)
    ]

    found = read(instances, tmp_path)

    assert [s.frames.shape[0] for s in found.study.first_passes[0].slices] == [24, 24]


def test_each_frame_is_rescaled_by_its_own_factor(tmp_path):
    def rescale(_index, time, dataset):
        dataset.RescaleSlope = 1 + time / 8
        dataset.RescaleIntercept = time

    classic = Series(slices=1, change=rescale).datasets()

    found = read([enhanced(classic, uid="1.2.3")], tmp_path)

    time = np.arange(24)
    np.testing.assert_allclose(
        found.study.first_passes[0].slices[0].frames[:, 0, 0], time * (1 + time / 8) + time
    )


def test_the_copy_that_philips_nests_in_each_frame_does_not_move_the_slices(tmp_path):
    classic = Series(slices=2).datasets()
    instance = enhanced(classic, uid="1.2.3")
    for item in instance.PerFrameFunctionalGroupsSequence:
        nested = Dataset()
        nested.ImagePositionPatient = [0.0, 0.0, 0.0]
        nested.SOPInstanceUID = "1.9.9"
        nested.private_block(0x2005, "Philips MR Imaging DD 001", create=True).add_new(
            0x0E, "FL", 0.5
        )
        item.private_block(0x2005, "Philips MR Imaging DD 005", create=True).add_new(
            0x0F, "SQ", [nested]
        )

    found = read([instance], tmp_path)

    slices = found.study.first_passes[0].slices
    assert len(slices) == 2
    assert found.sources[0].slices[0].frames[0].sop_instance_uid == "1.2.3"
    values = sorted(float(s.frames[1, 0, 0]) for s in slices)
    np.testing.assert_allclose(values, [1 / 0.5, 11 / 0.5])  # its private scale is used


def test_an_instance_that_contradicts_its_number_of_frames_is_set_aside(tmp_path):
    instance = enhanced(Series(slices=1).datasets(), uid="1.2.3")
    del instance.PerFrameFunctionalGroupsSequence[-1]

    with pytest.raises(NoPerfusionError, match="number of its frames contradicts itself"):
        read([instance], tmp_path)
