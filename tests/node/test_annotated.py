"""Annotated studies become the examples that the phantom's own truth gives."""

import copy
import itertools
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
import torch
from pydicom.pixels import pack_bits
from pydicom.uid import SegmentationStorage
from scipy import ndimage

from node.annotated import AnnotationError, annotated_examples
from node.annotated.drawings import LABEL_MAP_STORAGE
from node.cli import main
from node.config import Analysis, Results
from node.dicom_phantom import study_datasets
from node.dicom_read import read_study
from node.dicom_write import encode_results
from node.process.study import settings_text
from node.weights import (
    anatomy_network,
    checksum,
    packaged_weights,
    read_weights,
    write_weights,
)
from pipeline.margins import as_drawn
from pipeline.phantom import simulate
from pipeline.study import State
from pipeline.training.appearance import Randomiser
from pipeline.training.examples import SPACING_MM, on_grid
from pipeline.training.learn import Learner, LearningSettings, loss
from tests.node.dicom_write.truth import true_result
from tests.small_phantom import FAST

TISSUES = "Tissue"


@pytest.fixture(scope="module")
def phantom():
    settings = replace(FAST, states=(State.REST, State.STRESS), motion_mm=0.0, mistrigger_share=0.0)
    return simulate(4, settings)


@pytest.fixture(scope="module")
def made(phantom, tmp_path_factory):
    """What `annotate` writes, once."""
    return annotate(phantom, tmp_path_factory.mktemp("annotated"))


def annotate(phantom, folder):
    """Write images of a phantom, and what the node would send if it outlined like the truth."""
    for number, dataset in enumerate(study_datasets(phantom, "siemens")):
        dataset.save_as(folder / f"image{number:03d}.dcm", enforce_file_format=True)
    read = read_study(sorted(folder.iterdir()), Analysis())
    result = true_result(read.study, phantom)
    wanted = Results(objects=("reference", "segmentation"))
    objects = encode_results(result, read, wanted, version="1", settings="none")
    for number, dataset in enumerate(objects):
        dataset.save_as(folder / f"result{number}.dcm", enforce_file_format=True)
    return folder


@pytest.fixture
def study(made, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(made, tmp_path / "study")
    return tmp_path / "study"


def segmentations(study):
    """The Segmentations of tissues, by file, with what may be changed in them."""
    found = {}
    for path in sorted(study.glob("result*")):
        dataset = pydicom.dcmread(path)
        if dataset.SOPClassUID == SegmentationStorage and TISSUES in dataset.SeriesDescription:
            found[path] = dataset
    return found


def examples(folder):
    return list(annotated_examples(folder, Analysis()))


def test_our_own_segmentations_give_the_examples_that_the_truth_gives(study, phantom):
    expected = [
        on_grid(
            first_pass.slices[0],
            truth.slices[0].regions,
            None,
            truth.slices[0].box,
            truth.slices[0].peak_lv_frame,
        )
        for first_pass, truth in zip(
            phantom.study.first_passes, phantom.truth.first_passes, strict=True
        )
    ]
    found = [example for _, example in examples(study)]
    matched = []
    for example in found:
        signal = [difference(example.frames, one.frames) for one in expected]
        matched.append(int(np.argmin(signal)))
        assert difference(example.shares, expected[matched[-1]].shares) / 255 < 0.02
        assert min(signal) < 0.05
        assert (example.heat == -1).all()
    assert sorted(matched) == [0, 1]  # one slice, rest and stress


def test_the_edges_that_outlines_leave_out_are_learned_as_wall(tmp_path):
    states = (State.REST, State.STRESS)
    fine = replace(FAST, states=states, matrix=176, spacing_mm=1.4, motion_mm=0.0, n_frames=24)
    phantom = simulate(4, fine)
    truth = phantom.truth.first_passes[0].slices[0].regions
    wall_mm2 = 1.4**2 * truth.myocardium.sum()
    assert 1.4**2 * as_drawn(truth, (1.4, 1.4)).myocardium.sum() < 0.85 * wall_mm2
    learned = examples(annotate(phantom, tmp_path))
    assert len(learned) == 2
    for _, example in learned:
        learned_mm2 = SPACING_MM**2 * example.shares[0].sum() / 255
        assert learned_mm2 == pytest.approx(wall_mm2, rel=0.05)


def difference(one, other):
    """Mean difference; the boxes, and with them the pictures, may lie a pixel apart."""
    return min(
        float(np.abs(np.roll(one.astype(float), shift, axis=(-2, -1)) - other).mean())
        for shift in itertools.product((-1, 0, 1), repeat=2)
    )


def test_a_drawing_without_references_is_placed_by_coordinates_where_that_is_clear(study):
    for path, dataset in segmentations(study).items():
        del dataset.SourceImageSequence
        for item in dataset.PerFrameFunctionalGroupsSequence:
            del item.DerivationImageSequence
        if "stress" in dataset.SeriesDescription:
            path.unlink()
        else:
            dataset.save_as(path)
    with pytest.raises(AnnotationError, match=r"stress and rest|rest and stress"):
        examples(study)
    for path in study.glob("image*"):
        if "stress" in pydicom.dcmread(path, stop_before_pixels=True).SeriesDescription.lower():
            path.unlink()
    assert len(examples(study)) == 1


def test_a_drawing_on_the_reference_series_belongs_to_the_image_behind_it(study):
    for path, dataset in segmentations(study).items():
        for item in dataset.PerFrameFunctionalGroupsSequence:
            [derivation] = item.DerivationImageSequence
            del derivation.SourceImageSequence[1:]  # the reference comes first, then its source
        dataset.save_as(path)
    assert len(examples(study)) == 2


def fractional(dataset):
    masks = dataset.pixel_array * 200
    dataset.SegmentationType, dataset.SegmentationFractionalType = "FRACTIONAL", "OCCUPANCY"
    dataset.MaximumFractionalValue = 250
    in_bytes(dataset, masks)


def label_map(dataset):
    masks = dataset.pixel_array
    dataset.SegmentationType = "LABELMAP"
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = LABEL_MAP_STORAGE
    del dataset.PerFrameFunctionalGroupsSequence[1:]
    del dataset.PerFrameFunctionalGroupsSequence[0].SegmentIdentificationSequence
    dataset.NumberOfFrames = 1
    in_bytes(dataset, np.tensordot([1, 2, 3], masks, axes=1))


def in_bytes(dataset, pixels):
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset["PixelData"].VR = "OB"
    dataset.PixelData = pixels.astype(np.uint8).tobytes()


@pytest.mark.parametrize("kind", [fractional, label_map])
def test_every_kind_of_segmentation_gives_the_same_examples(study, kind):
    ours = examples(study)
    for path, dataset in segmentations(study).items():
        kind(dataset)
        dataset.save_as(path)
    for (_, one), (_, other) in zip(ours, examples(study), strict=True):
        assert np.array_equal(one.shares, other.shares)


@pytest.mark.peer
def test_a_segmentation_that_another_program_wrote_gives_the_same_examples(study, tmp_path):
    ours = examples(study)
    for number, (path, dataset) in enumerate(segmentations(study).items()):
        state = dataset.SeriesDescription.split()[1]
        [reference] = [
            one
            for one in study.glob("result*")
            if pydicom.dcmread(one).SeriesDescription.startswith(f"Reference {state}")
        ]
        out = tmp_path / f"volumes{number}"
        out.mkdir()
        dcmqi("segimage2itkimage", "--inputDICOM", path, "--outputDirectory", out,
              "--outputType", "nrrd")  # fmt: skip
        volumes = ",".join(str(out / f"{segment}.nrrd") for segment in (1, 2, 3))
        dcmqi("itkimage2segimage", "--inputImageList", volumes, "--inputDICOMList", reference,
              "--inputMetadata", out / "meta.json", "--outputDICOM", path)  # fmt: skip
        assert pydicom.dcmread(path).Manufacturer == "QIICR"
    for (_, one), (_, other) in zip(ours, examples(study), strict=True):
        assert np.array_equal(one.shares, other.shares)
        assert np.array_equal(one.frames, other.frames)


def dcmqi(name, *arguments):
    """Run a program of dcmqi; skip where dcmqi is not installed."""
    program = Path(sys.executable).with_name(name)
    if not program.exists():
        pytest.skip("dcmqi absent: pip install dcmqi")
    subprocess.run([program, *arguments], check=True, capture_output=True)


def test_labels_are_understood_where_codes_are_not(study):
    names = {1: "Myo", 2: "LV_pool", 3: "Right ventricle"}
    for path, dataset in segmentations(study).items():
        for segment in dataset.SegmentSequence:
            segment.SegmentLabel = names[segment.SegmentNumber]
            segment.SegmentedPropertyTypeCodeSequence[0].CodeValue = "1"
            segment.AnatomicRegionSequence[0].CodeValue = "1"
        dataset.save_as(path)
    assert len(examples(study)) == 2


def test_insertion_points_are_learned_where_they_are_drawn(study):
    for path, dataset in segmentations(study).items():
        for name in ("anterior insertion", "inferior insertion"):
            segment = copy.deepcopy(dataset.SegmentSequence[0])
            segment.SegmentNumber = len(dataset.SegmentSequence) + 1
            segment.SegmentLabel = name
            segment.SegmentedPropertyTypeCodeSequence[0].CodeValue = "1"
            dataset.SegmentSequence.append(segment)
        masks = list(dataset.pixel_array)
        frames = dataset.PerFrameFunctionalGroupsSequence
        for number, column in ((4, 20), (5, 30)):
            frame = copy.deepcopy(frames[0])
            frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber = number
            frames.append(frame)
            masks.append(np.zeros_like(masks[0]))
            masks[-1][30:33, column : column + 3] = 1
        dataset.NumberOfFrames = len(masks)
        dataset.PixelData = pack_bits(np.stack(masks))
        dataset.save_as(path)
    for _, example in examples(study):
        assert example.heat.max() > 0.9
        assert example.heat.min() >= 0


def test_what_is_missing_is_named_with_its_file_all_at_once(study):
    first, second = segmentations(study).items()
    for segment in first[1].SegmentSequence[1:2]:
        segment.SegmentLabel = "something"
        segment.SegmentedPropertyTypeCodeSequence[0].CodeValue = "1"
    first[1].save_as(first[0])
    for item in second[1].PerFrameFunctionalGroupsSequence:
        item.PlanePositionSequence[0].ImagePositionPatient = [0.0, 0.0, 900.0]
    second[1].save_as(second[0])
    with pytest.raises(AnnotationError) as refused:
        examples(study)
    assert f"{first[0].name}: it has no segment for LV blood pool" in str(refused.value)
    assert f"{second[0].name}: one of its planes lies on no perfusion slice" in str(refused.value)


def test_the_command_learns_on_from_the_weights_that_ship_and_writes_what_can_be_used(
    study, tmp_path, capsys
):
    work = tmp_path / "work"
    command = ["train", "segment", "--work", str(work), "--studies", str(study), "--steps", "2"]
    assert main([*command, "--device", "cpu"]) == 0
    said = capsys.readouterr().out
    assert "2 annotated slices" in said
    made = work / "segment.safetensors"
    assert checksum(made) in said
    anatomy_network(made)
    before, after = packaged_weights("segment"), read_weights(made)
    changed = [torch.norm(after[name] - before[name]) for name in before]
    size = [torch.norm(before[name]) for name in before]
    assert 0 < float(sum(changed)) < 0.05 * float(sum(size))


def thicker_pools(study):
    """Draw as a site does that counts the innermost of the wall as cavity."""
    for path, dataset in segmentations(study).items():
        wall, pool, *others = dataset.pixel_array.astype(bool)
        pool = ndimage.binary_dilation(pool) & (wall | pool)
        dataset.PixelData = pack_bits(np.stack([wall & ~pool, pool, *others]).astype(np.uint8))
        dataset.save_as(path)


def test_a_few_steps_teach_how_a_site_draws(study):
    thicker_pools(study)
    stacked = [
        torch.from_numpy(np.stack([getattr(one, name) for _, one in examples(study)] * 3))
        for name in ("frames", "shares", "heat")
    ]
    settings = LearningSettings(learning_rate=2e-4, warm_up_steps=1, steps=40)
    learner = Learner(settings, torch.device("cpu"))
    learner.start_from(packaged_weights("segment"))
    shown = [Randomiser(torch.Generator().manual_seed(seed))(*stacked) for seed in range(3)]

    @torch.no_grad()
    def mean_loss():
        return np.mean([loss(learner.network(one.series), one).item() for one in shown])

    before = mean_loss()
    for _ in range(10):
        learner.learn(*stacked)
    assert mean_loss() < 0.9 * before


def test_results_of_other_weights_are_other_results(tmp_path):
    names = []
    for number in range(2):
        path = tmp_path / f"{number}.safetensors"
        write_weights({"one": torch.full((2,), float(number))}, path)
        names.append(settings_text(Analysis(weights=path)))
    moved = tmp_path / "moved.safetensors"
    write_weights({"one": torch.zeros(2)}, moved)
    assert len({*names, settings_text(Analysis())}) == 3
    assert settings_text(Analysis(weights=moved)) == names[0]


def test_segmentations_without_their_images_are_refused(study):
    for path in study.glob("image*"):
        path.unlink()
    with pytest.raises(AnnotationError, match="no first-pass perfusion images"):
        examples(study)


def test_a_folder_without_annotations_is_refused(study):
    for path in segmentations(study):
        path.unlink()
    with pytest.raises(AnnotationError, match="no Segmentation"):
        examples(study)
