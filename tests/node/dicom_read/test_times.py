import numpy as np
import pytest

from node.config import Analysis
from node.dicom_read import NoPerfusionError, read_study
from node.dicom_read.clock import clock_seconds, date_time_seconds
from tests.node.instances import Series, clock, update, write


def read_times(tmp_path, change, **overrides):
    """Return the times of one slice, and the key that they were read from."""
    datasets = Series(slices=1, change=change, **overrides).datasets()
    read = read_study(write(datasets, tmp_path), Analysis())
    return read.study.first_passes[0].slices[0].time_s, read.sources[0].time_key, read.study.notes


def test_acquisition_times_are_used_as_they_are_with_missed_triggers(tmp_path):
    def miss_two_beats(_index, time, dataset):
        late = 1.7 if time >= 9 else 0.0
        dataset.AcquisitionTime = clock(36000 + 0.8 * time + late)

    times, key, _ = read_times(tmp_path, miss_two_beats)

    assert key == "AcquisitionTime"
    expected = np.full(23, 0.8)
    expected[8] = 2.5
    np.testing.assert_allclose(np.diff(times), expected, atol=1e-5)


@pytest.mark.parametrize("date_follows", [True, False], ids=["date follows", "date stays"])
def test_times_go_on_over_midnight(tmp_path, date_follows):
    def stay(_index, _time, dataset):
        if not date_follows:
            dataset.AcquisitionDate = "20240131"

    times, _, _ = read_times(tmp_path, stay, start_s=86400 - 5.0)

    np.testing.assert_allclose(times, 0.8 * np.arange(24), atol=1e-5)


def without(dataset, *keywords):
    for keyword in keywords:
        delattr(dataset, keyword)


def test_the_date_and_time_attribute_is_used_where_the_time_alone_is_absent(tmp_path):
    def change(_index, time, dataset):
        dataset.AcquisitionDateTime = f"20240131{clock(36000 + 0.85 * time)}+0100"
        without(dataset, "AcquisitionTime")

    times, key, _ = read_times(tmp_path, change)

    assert key == "AcquisitionDateTime"
    np.testing.assert_allclose(times, 0.85 * np.arange(24), atol=1e-5)


def test_cumulative_trigger_times_are_used_where_the_clock_stands_still(tmp_path):
    def change(_index, time, dataset):
        update(dataset, AcquisitionTime="101500", TriggerTime=round(700 + 697.6 * time))

    times, key, _ = read_times(tmp_path, change)

    assert key == "TriggerTime"
    np.testing.assert_allclose(np.diff(times), 0.6976, atol=1e-3)


def test_trigger_times_that_are_delays_in_the_beat_are_no_times(tmp_path):
    def change(_index, time, dataset):
        dataset.TriggerTime = 155 + time % 5

    _, key, _ = read_times(tmp_path, change)

    assert key == "AcquisitionTime"


def test_a_finer_trigger_time_goes_before_a_clock_of_whole_seconds(tmp_path):
    def change(_index, time, dataset):
        update(dataset, AcquisitionTime=clock(36000 + 2 * time), TriggerTime=1950.5 * time)

    times, key, _ = read_times(tmp_path, change)

    assert key == "TriggerTime"
    np.testing.assert_allclose(np.diff(times), 1.9505, atol=1e-6)


def test_a_clock_of_whole_seconds_is_better_than_none_and_is_noted(tmp_path):
    def change(_index, time, dataset):
        dataset.AcquisitionTime = clock(36000 + 2 * time)

    _, key, notes = read_times(tmp_path, change)

    assert key == "AcquisitionTime"
    assert any("whole seconds" in note for note in notes)


def test_temporal_positions_are_counted_with_the_rr_interval_and_the_delay_of_the_slice(tmp_path):
    def change(index, time, dataset):
        update(
            dataset,
            AcquisitionTime="101500",
            TemporalPositionIdentifier=time + 1,
            NominalInterval=900,
            InstanceNumber=1000 - 3 * time - index,
            TriggerTime=[150, 400][index],
        )

    read = read_study(write(Series(slices=2, change=change).datasets(), tmp_path), Analysis())

    assert read.sources[0].time_key == "temporal position times the RR interval"
    starts = sorted(float(s.time_s[0]) for s in read.study.first_passes[0].slices)
    assert starts == pytest.approx([0.0, 0.25])
    for image_slice in read.study.first_passes[0].slices:
        np.testing.assert_allclose(np.diff(image_slice.time_s), 0.9)
        assert np.all(np.diff(image_slice.frames[:, 0, 0]) == 1)  # in the order of the positions
    assert any("counted, not measured" in note for note in read.study.notes)


def test_intervals_of_the_beats_are_summed_up_in_the_order_of_the_instances(tmp_path):
    def change(_index, time, dataset):
        without(dataset, "AcquisitionTime")
        dataset.NominalInterval = 1600 if time == 4 else 800

    times, key, _ = read_times(tmp_path, change)

    assert key == "NominalInterval, summed up"
    assert np.diff(times)[4] == pytest.approx(1.6)
    assert float(times[-1]) == pytest.approx(0.8 * 24)


def test_counting_instances_is_the_last_resort_and_is_noted(tmp_path):
    def change(_index, _time, dataset):
        without(dataset, "AcquisitionTime", "NominalInterval")
        dataset.HeartRate = 75

    times, key, notes = read_times(tmp_path, change)

    assert key.startswith("InstanceNumber")
    np.testing.assert_allclose(np.diff(times), 0.8)
    assert any("counted, not measured" in note for note in notes)


def test_counted_times_are_not_believed_where_no_word_speaks_of_perfusion(tmp_path):
    def change(_index, _time, dataset):
        without(dataset, "AcquisitionTime", "NominalInterval")
        dataset.HeartRate = 75

    with pytest.raises(NoPerfusionError, match="no measured times, and no word"):
        read_times(tmp_path, change, description="heart")


def test_images_faster_than_any_heart_are_refused(tmp_path):
    with pytest.raises(NoPerfusionError, match="no measured times, and no word"):
        read_times(tmp_path, lambda *_: None, interval_s=0.05, description="heart")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("093015", 34215.0),
        ("093015.25", 34215.25),
        ("09:30:15.25", 34215.25),
        ("0930", 34200.0),
        ("09", 32400.0),
        ("", None),
        ("9h30", None),
        ("093015.x", None),
    ],
)
def test_times_of_day_are_read_in_every_form(text, seconds):
    assert clock_seconds("", text) == seconds


def test_a_day_later_is_a_day_more():
    first, second = (date_time_seconds(f"{day}235959.5") for day in ("20231231", "20240101"))

    assert first is not None
    assert second == first + 86400


def test_an_offset_from_utc_does_not_disturb():
    assert date_time_seconds("20240101120000.5-0500") == date_time_seconds("20240101120000.5")
    assert date_time_seconds("20240101") is None


def test_slices_that_share_one_time_for_each_beat_are_set_apart_by_their_delay(tmp_path):
    """Philips gives all slices of a dynamic scan one AcquisitionTime."""

    def change(index, time, dataset):
        dataset.AcquisitionTime = clock(36000 + 0.85 * time)
        dataset.TriggerTime = [80, 330][index]

    read = read_study(write(Series(slices=2, change=change).datasets(), tmp_path), Analysis())

    starts = sorted(float(s.time_s[0]) for s in read.study.first_passes[0].slices)
    assert starts == pytest.approx([0.0, 0.25], abs=1e-6)


def test_cumulative_trigger_times_are_not_added_to_the_clock(tmp_path):
    def change(_index, time, dataset):
        dataset.AcquisitionTime = clock(36000 + 0.85 * time)
        dataset.TriggerTime = 850 * time

    read = read_study(write(Series(slices=2, change=change).datasets(), tmp_path), Analysis())

    for image_slice in read.study.first_passes[0].slices:
        np.testing.assert_allclose(np.diff(image_slice.time_s), 0.85, atol=1e-5)


def test_a_scrambled_clock_is_not_believed_against_the_temporal_positions(tmp_path):
    order = np.random.default_rng(3).permutation(24)

    def change(_index, time, dataset):
        update(
            dataset,
            AcquisitionTime=clock(36000 + 0.85 * int(order[time])),
            TemporalPositionIdentifier=time + 1,
            NominalInterval=850,
        )

    times, key, notes = read_times(tmp_path, change)

    assert key == "temporal position times the RR interval"
    np.testing.assert_allclose(np.diff(times), 0.85)
    assert any("counted, not measured" in note for note in notes)
