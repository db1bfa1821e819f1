"""Every dialect of the phantom, in any order, with images missing and doubled."""

import numpy as np
import pytest

from node.config import Analysis
from node.dicom_phantom import DIALECTS, study_datasets
from node.dicom_read import read_study
from pipeline.phantom import PhantomSettings, simulate
from pipeline.study import InputKind, State
from tests.node.instances import write

ONE_IMAGE_EACH = [name for name in DIALECTS if not name.startswith("enhanced")]


@pytest.fixture(scope="module", params=[None, InputKind.DUAL_SEQUENCE], ids=str)
def phantom(request):
    return simulate(
        21,
        PhantomSettings(
            n_slices=2,
            n_frames=26,
            matrix=48,
            spacing_mm=5.0,
            input_kind=request.param,
            proton_density=False,
        ),
    )


def first_frame_s(first_pass) -> float:
    return min(float(image_slice.time_s[0]) for image_slice in first_pass.slices)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_doubled_images_change_nothing(phantom, dialect, tmp_path):
    datasets = list(study_datasets(phantom, dialect))
    plain = read_study(write(datasets, tmp_path / "plain"), Analysis())
    step = max(len(datasets) // 3, 1)
    doubled = list(study_datasets(phantom, dialect))[::step]
    for dataset in doubled:
        dataset.SOPInstanceUID += ".1"

    again = read_study(write([*doubled, *datasets], tmp_path / "doubled"), Analysis())

    assert sum(len(item.files) for item in again.set_aside) == len(doubled)
    for one, other in zip(again.study.first_passes, plain.study.first_passes, strict=True):
        assert (one.label, one.physics) == (other.label, other.physics)
        assert (one.input_series is None) == (phantom.study.first_passes[0].input_series is None)
        for a, b in zip(one.slices, other.slices, strict=True):
            np.testing.assert_array_equal(a.frames, b.frames)
            np.testing.assert_array_equal(a.time_s, b.time_s)


@pytest.mark.parametrize("dialect", ONE_IMAGE_EACH)
def test_missing_images_leave_a_gap_and_move_nothing(phantom, dialect, tmp_path):
    datasets = list(study_datasets(phantom, dialect))
    generator = np.random.default_rng(5)
    lost = set(generator.choice(len(datasets), size=len(datasets) // 25, replace=False).tolist())
    kept = [dataset for index, dataset in enumerate(datasets) if index not in lost]

    study = read_study(write(kept, tmp_path), Analysis()).study

    truths = {first_pass.label: first_pass for first_pass in phantom.study.first_passes}
    assert {first_pass.label for first_pass in study.first_passes} == set(truths)
    for first_pass in study.first_passes:
        truth = truths[first_pass.label]
        for found, true in zip(first_pass.slices, truth.slices, strict=True):
            since = true.time_s - first_frame_s(truth)
            nearest = np.abs(found.time_s[:, np.newaxis] - since).argmin(axis=1)
            assert len(set(nearest.tolist())) == len(nearest)
            np.testing.assert_allclose(found.time_s, since[nearest], atol=0.03)
            # stored values are whole numbers
            np.testing.assert_allclose(found.frames, true.frames[nearest], atol=0.501)
            np.testing.assert_allclose(
                found.geometry.position_mm, true.geometry.position_mm, atol=1e-5
            )


@pytest.mark.parametrize("dialect", DIALECTS)
def test_states_without_words_are_never_the_wrong_way_round(phantom, dialect, tmp_path):
    read = read_study(write(study_datasets(phantom, dialect, named=False), tmp_path), Analysis())

    truths = sorted(
        zip(phantom.study.first_passes, phantom.truth.first_passes, strict=True),
        key=lambda pair: pair[1].start_s,
    )
    for first_pass, (truth, _) in zip(read.study.first_passes, truths, strict=True):
        assert first_pass.state in (truth.state, State.UNDETERMINED)
        if first_pass.state is State.UNDETERMINED:
            assert first_pass.label.startswith("perfusion ")
