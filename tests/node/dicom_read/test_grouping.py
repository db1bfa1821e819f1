import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.config import Analysis
from node.dicom_read import NotShortAxisError, TooFewFramesError, read_study
from pipeline.study import State
from tests.node.instances import Series, update, write


def read(datasets, folder):
    return read_study(write(datasets, folder), Analysis())


def aside(read_back) -> dict[str, str]:
    return {item.what: item.reason for item in read_back.set_aside}


def test_a_series_that_the_pacs_split_is_one_first_pass(tmp_path):
    def second_series(_index, time, dataset):
        if time >= 13:
            update(dataset, SeriesInstanceUID="1.2.3.4", SeriesNumber=55)

    result = read(Series(frames=30, change=second_series).datasets(), tmp_path)

    (first_pass,) = result.study.first_passes
    assert [s.frames.shape[0] for s in first_pass.slices] == [30, 30]
    for image_slice in first_pass.slices:
        assert np.all(np.diff(image_slice.frames[:, 0, 0]) == 1)


def test_a_series_whose_images_alternate_between_two_series_is_one_first_pass(tmp_path):
    def every_other(_index, time, dataset):
        if time % 2:
            update(dataset, SeriesInstanceUID="1.2.3.4", SeriesNumber=55)

    result = read(Series(frames=40, change=every_other).datasets(), tmp_path)

    (first_pass,) = result.study.first_passes
    assert [s.frames.shape[0] for s in first_pass.slices] == [40, 40]


def test_an_interrupted_series_keeps_its_unequal_slices(tmp_path):
    datasets = Series(slices=3, frames=30).datasets()
    kept = datasets[:30] + datasets[30:55] + datasets[60:82]

    result = read(kept, tmp_path)

    lengths = sorted(s.frames.shape[0] for s in result.study.first_passes[0].slices)
    assert lengths == [22, 25, 30]


def test_rest_and_stress_in_one_series_are_parted_at_the_pause(tmp_path):
    def later(_index, time, dataset):
        if time >= 25:
            hours = dataset.AcquisitionTime
            dataset.AcquisitionTime = f"11{hours[2:]}"

    result = read(Series(frames=50, change=later).datasets(), tmp_path)

    assert [p.label for p in result.study.first_passes] == ["perfusion 1", "perfusion 2"]
    assert [p.slices[0].frames.shape[0] for p in result.study.first_passes] == [25, 25]
    assert float(result.study.first_passes[1].slices[1].time_s[0]) < 1.0


def test_the_same_file_under_two_names_is_read_once(tmp_path):
    datasets = Series().datasets()
    paths = write(datasets, tmp_path / "a") + write(datasets[:5], tmp_path / "b")

    result = read_study(paths, Analysis())

    assert [s.frames.shape[0] for s in result.study.first_passes[0].slices] == [24, 24]
    assert "there twice" in aside(result)["series 5"]


def test_images_sent_again_under_new_uids_are_used_once(tmp_path):
    datasets = Series().datasets()
    again = Series().datasets()[3:6]
    for dataset in again:
        dataset.SOPInstanceUID += ".9"

    result = read(datasets + again, tmp_path)

    assert [s.frames.shape[0] for s in result.study.first_passes[0].slices] == [24, 24]
    assert "under two UIDs" in aside(result)["series 5"]


def test_renumbered_copies_of_a_few_images_are_used_once(tmp_path):
    datasets = Series().datasets()
    again = Series().datasets()[3:5]
    for dataset in again:
        dataset.SOPInstanceUID += ".9"
        dataset.InstanceNumber += 500

    result = read(datasets + again, tmp_path)

    assert [s.frames.shape[0] for s in result.study.first_passes[0].slices] == [24, 24]
    assert result.sources[0].time_key == "AcquisitionTime"
    assert "is that of another image" in aside(result)["series 5"]


@pytest.mark.parametrize("sign", ["type", "description"])
def test_the_original_is_preferred_to_the_scanners_motion_compensated_copy(tmp_path, sign):
    original = Series(number=8).datasets()

    def mark(_index, _time, dataset):
        if sign == "type":
            dataset.ImageType = ["DERIVED", "PRIMARY", "PERFUSION", "MOCO"]
        else:
            dataset.SeriesDescription = "perfusion_MOCO"

    copy = Series(number=3, change=mark).datasets()

    result = read(original + copy, tmp_path)

    (first_pass,) = result.study.first_passes
    assert len(first_pass.slices) == 2
    assert result.sources[0].slices[0].series_instance_uid.endswith(".8")
    assert aside(result)["series 3"] == (
        "it is the scanner's motion-compensated copy of series 8, which is used"
    )


def test_a_copy_on_another_grid_is_called_a_copy_and_no_more(tmp_path):
    copy = Series(number=6, shape=(14, 12), spacing_mm=(1.7, 1.3))

    result = read(Series(number=5).datasets() + copy.datasets(), tmp_path)

    assert aside(result)["series 6"] == "it is a copy of series 5, which is used"


def test_a_motion_compensated_series_alone_is_used_and_said(tmp_path):
    result = read(Series(description="perf_MOCO").datasets(), tmp_path)

    assert len(result.study.first_passes) == 1
    assert any("motion-compensated images are there" in note for note in result.study.notes)


def test_a_filtered_copy_of_a_series_is_left_alone(tmp_path):
    result = read(Series(number=5).datasets() + Series(number=6).datasets(), tmp_path)

    assert len(result.study.first_passes) == 1
    assert "copy of series 5" in aside(result)["series 6"]


def test_scanner_made_maps_are_left_alone(tmp_path):
    maps = Series(number=6, description="perf MBF map", slices=3, frames=1).datasets()

    result = read(Series(slices=3).datasets() + maps, tmp_path)

    assert len(result.study.first_passes[0].slices) == 3
    assert "it is a map" in aside(result)["series 6"]


def test_phase_images_in_the_same_series_are_left_alone(tmp_path):
    phases = Series().datasets()
    for dataset in phases:
        update(dataset, ImageType=["ORIGINAL", "PRIMARY", "P"])
        dataset.SOPInstanceUID += ".2"

    result = read(Series().datasets() + phases, tmp_path)

    assert [s.frames.shape[0] for s in result.study.first_passes[0].slices] == [24, 24]
    assert "no magnitude" in aside(result)["series 5"]


def long_axis(_index, _time, dataset):
    dataset.ImageOrientationPatient = [0.66, -0.60, -0.45, 0.0, -0.6, 0.8]  # overwritten below
    along = np.array([0.66, -0.60, -0.45]) / np.linalg.norm([0.66, -0.60, -0.45])
    down = np.cross(along, [0.0, 0.0, 1.0])
    down /= np.linalg.norm(down)
    dataset.ImageOrientationPatient = [round(float(v), 10) for v in (*along, *down)]


def test_a_long_axis_slice_among_short_axis_ones_is_left_alone(tmp_path):
    def last_slice(index, time, dataset):
        if index == 2:
            long_axis(index, time, dataset)

    result = read(Series(slices=3, change=last_slice).datasets(), tmp_path)

    assert len(result.study.first_passes[0].slices) == 2
    assert aside(result) == {"series 5": "the slice is not short axis"}


def test_only_long_axis_slices_are_refused_by_their_own_error(tmp_path):
    with pytest.raises(NotShortAxisError, match="none of them is short axis"):
        read(Series(change=long_axis).datasets(), tmp_path)


def test_too_few_images_are_refused_by_their_own_error(tmp_path):
    with pytest.raises(TooFewFramesError, match="a slice has 12 images, too few"):
        read(Series(frames=12).datasets(), tmp_path)


def test_a_stack_of_many_positions_is_no_dynamic_series(tmp_path):
    stack = Series(number=9, slices=20, frames=2, description="heart").datasets()

    result = read(Series().datasets() + stack, tmp_path)

    assert "more than 12 positions" in aside(result)["series 9"]


@given(seed=st.integers(0, 10**6))
@settings(
    max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_order_and_any_names_of_the_files_give_the_same_study(tmp_path, seed):
    generator = np.random.default_rng(seed)
    stress = Series(number=4, description="perf stress", slices=2, frames=20, start_s=36000)
    rest = Series(number=9, description="perf rest", slices=1, frames=20, start_s=36900)
    datasets = stress.datasets() + rest.datasets()
    expected = read(datasets, tmp_path / "plain")
    paths = []
    for number, index in enumerate(generator.permutation(len(datasets))):
        path = tmp_path / f"{seed}-{number}"
        datasets[index].save_as(path, enforce_file_format=True)
        paths.append(path)

    found = read_study(paths, Analysis())

    assert found.study.notes == expected.study.notes
    for one, other in zip(found.study.first_passes, expected.study.first_passes, strict=True):
        assert (one.label, one.physics) == (other.label, other.physics)
        for a, b in zip(one.slices, other.slices, strict=True):
            np.testing.assert_array_equal(a.frames, b.frames)
            np.testing.assert_array_equal(a.time_s, b.time_s)
            assert a.geometry == b.geometry


def test_an_examination_with_most_images_is_chosen_of_several(tmp_path):
    other = Series(number=7, slices=1).datasets()
    for dataset in other:
        dataset.StudyInstanceUID = "1.2.3"

    result = read(Series(slices=2, description="rest perf").datasets() + other, tmp_path)

    assert [p.state for p in result.study.first_passes] == [State.REST]
    assert "another examination" in aside(result)["series 7"]
