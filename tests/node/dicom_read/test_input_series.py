import math

import numpy as np
import pytest

from node.config import Analysis, ProtocolPhysics
from node.dicom_read import read_study
from pipeline.study import InputKind
from tests.node.instances import Series, set_pixels, update, write


def read(datasets, folder, **config):
    return read_study(write(datasets, folder), Analysis(**config))


def coarse(_index, time, dataset):
    """A low-resolution image of the basal slice, taken 50 ms after the others began."""
    update(dataset, PixelSpacing=[4.0, 3.0], InversionTime=24, FlipAngle=5)
    set_pixels(dataset, np.full((6, 5), 500 + time, dtype=np.uint16))
    position = np.array(dataset.ImagePositionPatient, dtype=float)
    directions = np.array(dataset.ImageOrientationPatient, dtype=float).reshape(2, 3)
    moved = position + directions[0] * 0.75 + directions[1] * 1.0  # the same centre
    dataset.ImagePositionPatient = [round(float(value), 6) for value in moved]


def dual_sequence(description, change=coarse):
    return [
        *Series(number=5, slices=3).datasets(),
        *Series(
            number=6, slices=1, first_slice=2, change=change, description=description,
            start_s=36000.05,
        ).datasets(),
    ]  # fmt: skip


@pytest.mark.parametrize("description", ["perf_AIF", "perfusion"])
def test_a_low_resolution_series_of_the_same_bolus_is_the_input_series(tmp_path, description):
    result = read(dual_sequence(description), tmp_path)

    (first_pass,) = result.study.first_passes
    source = first_pass.input_series
    assert len(first_pass.slices) == 3
    assert source is not None
    assert source.kind is InputKind.DUAL_SEQUENCE
    assert source.dose_ratio == 1.0
    assert source.readout.flip_angle_rad == pytest.approx(math.radians(5))
    assert source.slice.frames[3, 0, 0] == 503
    assert float(source.slice.time_s[0]) == pytest.approx(0.05 + 0.24, abs=1e-5)
    assert result.sources[0].input_series.series_instance_uid.endswith(".6")


def test_an_input_series_on_the_grid_of_the_others_is_known_by_its_name(tmp_path):
    datasets = dual_sequence("perf_AIF", change=lambda *_: None)

    result = read(datasets, tmp_path)

    assert result.study.first_passes[0].input_series is not None
    assert len(result.study.first_passes[0].slices) == 3


def with_density_frames(flip, comment=""):
    def change(index, time, dataset):
        level = 900 if time < 3 else 100
        set_pixels(dataset, np.full((12, 10), level + time + 10 * index, dtype=np.uint16))
        if time < 3:
            dataset.FlipAngle = flip
            if comment:
                dataset.ImageComments = comment

    return change


@pytest.mark.parametrize("comment", ["", "PD", "proton density"])
def test_proton_density_frames_are_parted_from_the_bolus(tmp_path, comment):
    change = with_density_frames(5, comment)

    result = read(Series(frames=30, change=change).datasets(), tmp_path)

    (first_pass,) = result.study.first_passes
    for image_slice, source in zip(first_pass.slices, result.sources[0].slices, strict=True):
        assert image_slice.frames.shape[0] == 27
        assert image_slice.proton_density.shape[0] == 3
        assert image_slice.proton_density[0, 0, 0] >= 900
        readout = image_slice.proton_density_readout
        assert readout.flip_angle_rad == pytest.approx(math.radians(5))
        assert math.isinf(readout.saturation_delay_s)
        assert len(source.proton_density) == 3
    assert min(float(s.time_s[0]) for s in first_pass.slices) == 0.0


def test_proton_density_frames_without_a_flip_angle_of_their_own_are_not_used(tmp_path):
    result = read(Series(frames=30, change=with_density_frames(14, "PD")).datasets(), tmp_path)

    (first_pass,) = result.study.first_passes
    assert all(s.proton_density is None for s in first_pass.slices)
    assert all(s.frames.shape[0] == 27 for s in first_pass.slices)
    assert any("gives their own flip angle" in note for note in result.study.notes)


@pytest.mark.parametrize("comment", ["", "PD"])
def test_a_configured_flip_angle_makes_proton_density_frames_usable(tmp_path, comment):
    datasets = Series(frames=30, change=with_density_frames(14, comment)).datasets()
    protocol = ProtocolPhysics(protocol="perf", proton_density_flip_angle_deg=5)

    result = read_study(write(datasets, tmp_path), Analysis(protocols=(protocol,)))

    (first_pass,) = result.study.first_passes
    for image_slice in first_pass.slices:
        assert image_slice.frames.shape[0] == 27
        assert image_slice.proton_density.shape[0] == 3
        assert image_slice.proton_density_readout.flip_angle_rad == pytest.approx(math.radians(5))
        assert math.isinf(image_slice.proton_density_readout.saturation_delay_s)


def test_a_flip_angle_configured_for_another_protocol_changes_nothing(tmp_path):
    datasets = Series(frames=30, change=with_density_frames(14, "PD")).datasets()
    protocol = ProtocolPhysics(protocol="other", proton_density_flip_angle_deg=5)

    result = read_study(write(datasets, tmp_path), Analysis(protocols=(protocol,)))

    assert all(s.proton_density is None for s in result.study.first_passes[0].slices)


def test_bright_leading_frames_that_no_header_explains_are_left_out(tmp_path):
    result = read(Series(frames=30, change=with_density_frames(14)).datasets(), tmp_path)

    (first_pass,) = result.study.first_passes
    assert all(s.frames.shape[0] == 27 for s in first_pass.slices)
    assert float(min(s.time_s[0] for s in first_pass.slices)) == 0.0
    assert any("much brighter than the next" in note for note in result.study.notes)


def test_a_proton_density_series_of_its_own_belongs_to_the_slices_in_its_place(tmp_path):
    def density(_index, _time, dataset):
        dataset.FlipAngle = 5

    datasets = [
        *Series(
            number=4, description="perf PD", frames=2, change=density, start_s=35997
        ).datasets(),
        *Series(number=5).datasets(),
    ]

    result = read(datasets, tmp_path)

    (first_pass,) = result.study.first_passes
    assert [s.proton_density.shape[0] for s in first_pass.slices] == [2, 2]
    assert [s.frames.shape[0] for s in first_pass.slices] == [24, 24]


def bolus(number, description, start_s, volume=None):
    def change(_index, _time, dataset):
        if volume is not None:
            dataset.ContrastBolusVolume = volume

    return Series(
        number=number, description=description, start_s=start_s, frames=40, change=change
    ).datasets()


def test_a_series_called_prebolus_is_the_input_series_of_the_bolus_after_it(tmp_path):
    datasets = [
        *bolus(3, "stress prebolus", 36000),
        *bolus(4, "stress perf", 36060),
        *bolus(8, "rest prebolus", 37000),
        *bolus(9, "rest perf", 37060),
    ]

    result = read(datasets, tmp_path, dual_bolus_ratio=12)

    assert [p.label for p in result.study.first_passes] == ["stress", "rest"]
    for first_pass, number in zip(result.study.first_passes, (3, 8), strict=True):
        assert first_pass.input_series.kind is InputKind.DUAL_BOLUS
        assert first_pass.input_series.dose_ratio == 12
        assert float(first_pass.input_series.slice.time_s[0]) == 0.0
        index = result.study.first_passes.index(first_pass)
        uid = result.sources[index].input_series.series_instance_uid
        assert uid.endswith(f".{number}")


def test_a_tenth_of_the_dose_marks_a_dilute_bolus_and_gives_the_ratio(tmp_path):
    datasets = [*bolus(3, "perf", 36000, volume=0.7), *bolus(4, "perf", 36060, volume=7)]

    result = read(datasets, tmp_path)

    (first_pass,) = result.study.first_passes
    assert first_pass.input_series.dose_ratio == pytest.approx(10)


def test_two_like_boluses_are_two_first_passes(tmp_path):
    result = read([*bolus(3, "perf", 36000), *bolus(4, "perf", 36600)], tmp_path)

    assert len(result.study.first_passes) == 2
    assert all(p.input_series is None for p in result.study.first_passes)


def double_echo(left_out=0):
    """The low-resolution series with a second echo, whose images are weaker."""

    def late(index, time, dataset):
        coarse(index, time, dataset)
        update(dataset, EchoTime=2.0, InstanceNumber=500 - time)  # not in the order of the first
        set_pixels(dataset, np.full((6, 5), round(0.8 * (500 + time)), dtype=np.uint16))

    def early(index, time, dataset):
        coarse(index, time, dataset)
        update(dataset, EchoTime=0.8)

    one = {"number": 6, "slices": 1, "first_slice": 2, "description": "AIF", "start_s": 36000.05}
    first = Series(change=early, **one).datasets()
    second = Series(change=late, **one).datasets()[left_out:]
    for dataset in second:
        dataset.SOPInstanceUID = f"{dataset.SOPInstanceUID}.2"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return [*Series(number=5, slices=3).datasets(), *first, *second]


def test_a_second_echo_of_the_input_series_goes_with_the_first(tmp_path):
    result = read(double_echo(), tmp_path)

    source = result.study.first_passes[0].input_series
    assert source.readout.echo_time_s == pytest.approx(0.8e-3)
    assert source.second_echo.echo_time_s == pytest.approx(2.0e-3)
    ratio = source.second_echo.frames / source.slice.frames
    np.testing.assert_allclose(ratio, 0.8, rtol=2e-3)
    assert any("second echo at 2 ms" in note for note in result.study.notes)
    assert not any("later echo" in one.reason for one in result.set_aside)


def test_a_second_echo_that_is_not_whole_is_left_alone(tmp_path):
    result = read(double_echo(left_out=3), tmp_path)

    assert result.study.first_passes[0].input_series.second_echo is None
    assert any("later echo" in one.reason for one in result.set_aside)


def test_a_second_echo_of_the_slices_is_set_aside(tmp_path):
    first = Series(number=5, slices=3).datasets()
    second = Series(number=5, slices=3).datasets()
    for dataset in second:
        update(dataset, EchoTime=float(dataset.EchoTime) + 1.0)
        dataset.SOPInstanceUID = f"{dataset.SOPInstanceUID}.2"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID

    result = read([*first, *second], tmp_path)

    assert len(result.study.first_passes[0].slices) == 3
    [left] = [one for one in result.set_aside if "later echo" in one.reason]
    assert len(left.files) == len(second)


@pytest.mark.parametrize("inversion_time", [24, 0])
def test_bright_leading_frames_of_a_short_readout_with_a_small_angle_are_its_proton_density(
    tmp_path, inversion_time
):
    def change(index, time, dataset):
        coarse(index, time, dataset)
        level = 9000 if time < 3 else 500
        set_pixels(dataset, np.full((6, 5), level + time, dtype=np.uint16))
        if time < 3:
            dataset.InversionTime = inversion_time

    result = read(dual_sequence("perf_AIF", change), tmp_path)

    source = result.study.first_passes[0].input_series
    assert [float(frame[0, 0]) for frame in source.slice.proton_density] == [9000, 9001, 9002]
    assert source.slice.frames[0, 0, 0] == 503
    plain = read(dual_sequence("perf_AIF"), tmp_path).study.first_passes[0].input_series
    assert plain.slice.proton_density is None
    assert source.readout == plain.readout
    assert math.isinf(source.slice.proton_density_readout.saturation_delay_s)
    assert source.slice.proton_density_readout.flip_angle_rad == pytest.approx(math.radians(5))
