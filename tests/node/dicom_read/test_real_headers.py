"""Real objects of Siemens, GE, Philips and Canon: none is cardiac perfusion."""

import numpy as np
import pytest

from node.config import Analysis
from node.dicom_read import NoPerfusionError, read_study
from node.dicom_read.frames import frames_of
from node.dicom_read.geometry import slices_of
from node.dicom_read.header import tolerant_reading
from node.dicom_read.instances import Aside, open_instances
from node.dicom_read.philips import scale_slope
from node.dicom_read.times import TIME_KEYS

FOLDERS = ["agfa", "canon", "deident", "enh", "frag", "nih", "philips", "ts", "xa60"]


@pytest.mark.parametrize("folder", FOLDERS)
def test_real_objects_that_are_no_perfusion_are_refused_with_a_reason_each(shared_data, folder):
    files = [f for f in (shared_data / "vendor-headers" / folder).rglob("*") if f.is_file()]

    with pytest.raises(NoPerfusionError) as raised:
        read_study(files, Analysis())

    assert {path for item in raised.value.set_aside for path in item.files} == set(files)


def real_frames(folder):
    files = sorted(f for f in folder.rglob("*") if f.is_file())
    with tolerant_reading():
        frames = [f for i in open_instances(files, Aside()) for f in frames_of(i, Aside())]
    return sorted(frames, key=lambda f: (f.source.sop_instance_uid, f.source.frame_number or 0))


def test_places_in_real_multi_frame_objects_of_four_vendors_are_read_right(shared_data):
    headers = shared_data / "vendor-headers"
    with tolerant_reading():
        siemens = slices_of(real_frames(headers / "agfa" / "Siemens"), most=100)
        canon = slices_of(real_frames(headers / "canon"), most=100)
        philips = slices_of(real_frames(headers / "enh" / "In" / "Philips"), most=100)

    assert [len(members) for members in siemens] == [4] * 25  # four times, 25 slices
    assert len(canon) * len(canon[0]) == 520
    assert len({len(members) for members in canon}) == 1
    assert [len(members) for members in philips] == [2] * 32
    steps = np.diff([members[0].geometry.position_mm for members in philips], axis=0)
    np.testing.assert_allclose(np.linalg.norm(steps, axis=1), 4.0, atol=1e-3)


def times_of(folder, key_name):
    """Return the times of the frames of the first slice by one key, as the reader's part sees."""
    frames = real_frames(folder)
    (key,) = [key for key in TIME_KEYS if key.name == key_name]
    with tolerant_reading():
        return np.array(key.seconds(slices_of(frames, most=100)[0]), dtype=float)


def test_times_of_real_siemens_xa_objects_agree_between_the_keys(shared_data):
    folder = shared_data / "vendor-headers" / "agfa" / "Siemens"

    standard = times_of(folder, "FrameAcquisitionDateTime")
    private = times_of(folder, "Siemens' private time after start")

    np.testing.assert_allclose(np.diff(standard), [1.220, 1.221, 1.220], atol=2e-3)
    np.testing.assert_allclose(np.diff(private)[1:], 1.22, atol=1e-6)  # the first is counted anew


def test_a_copy_that_went_through_another_pacs_has_the_same_times(shared_data):
    headers = shared_data / "vendor-headers" / "agfa"

    original, copy = (
        np.sort(times_of(headers / name, "FrameAcquisitionDateTime"))
        for name in ("Siemens", "Agfa")
    )

    np.testing.assert_array_equal(original, copy)


def test_times_of_real_philips_objects_agree_between_the_keys(shared_data):
    folder = shared_data / "vendor-headers" / "philips" / "In" / "Magdeburg_2014"

    for key in ("AcquisitionTime", "Philips' private dynamic scan begin time", "TriggerTime"):
        np.testing.assert_allclose(np.diff(times_of(folder, key)), 2.0)


def test_the_private_scale_of_real_philips_objects_is_found(shared_data):
    headers = shared_data / "vendor-headers"
    classic = real_frames(headers / "philips" / "In" / "Magdeburg_2014")[0]
    multi_frame = real_frames(headers / "enh" / "In" / "Philips")[0]

    assert scale_slope(classic.header) == pytest.approx(0.004284040071070194)
    assert scale_slope(multi_frame.header) == pytest.approx(8.44864e-06, rel=1e-5)
