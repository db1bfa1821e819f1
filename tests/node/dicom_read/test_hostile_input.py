import tarfile
import time

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from node.config import Analysis
from node.dicom_read import NoPerfusionError, UnknownPhysicsError, read_study
from node.dicom_read.header import tolerant_reading
from tests.node.instances import Series, enhanced, write

MOST_SECONDS = 1.0


@pytest.fixture
def malformed(shared_data, tmp_path):
    """Files that broke readers of DICOM, under names of our own."""
    files = []
    with tarfile.open(shared_data / "dicom-fuzz" / "corpus.tar.gz") as archive:
        for member in archive:
            if (content := archive.extractfile(member)) is not None:
                files.append(tmp_path / f"malformed-{len(files)}.dcm")
                files[-1].write_bytes(content.read())
    return files


def test_every_malformed_file_is_set_aside_quickly(malformed):
    """The bound is on processor time, so that a busy machine cannot fail it."""
    slowest = 0.0
    for file in malformed:
        started = time.process_time()
        with pytest.raises(NoPerfusionError) as raised:
            read_study([file], Analysis())
        slowest = max(slowest, time.process_time() - started)
        assert raised.value.set_aside, file.name

    assert len(malformed) > 590
    assert slowest < MOST_SECONDS


def test_malformed_files_do_not_disturb_a_study_among_them(malformed, tmp_path):
    good = write(Series().datasets(), tmp_path / "good")

    read = read_study([*malformed, *good], Analysis())

    assert [s.frames.shape[0] for s in read.study.first_passes[0].slices] == [24, 24]
    assert {path for item in read.set_aside for path in item.files} == set(malformed)


@pytest.mark.parametrize("multi_frame", [False, True], ids=["classic", "enhanced"])
@pytest.mark.parametrize("seed", range(12))
def test_damaged_bytes_anywhere_neither_crash_nor_hang(tmp_path, seed, multi_frame):
    generator = np.random.default_rng(seed)
    datasets = Series(slices=1, frames=24).datasets()
    if multi_frame:
        datasets = [enhanced(datasets, uid=f"1.2.{i + 1}") for i in range(6)]
    paths = write(datasets, tmp_path)
    for path in paths:
        blob = bytearray(path.read_bytes())
        for place in generator.integers(132, len(blob), size=1 + seed):
            blob[place] = int(generator.integers(256))
        path.write_bytes(bytes(blob[: int(generator.integers(len(blob) // 2, 2 * len(blob)))]))

    started = time.process_time()
    try:
        read = read_study(paths, Analysis())
        used = {f.path for source in read.sources for s in source.slices for f in s.frames}
        aside = {path for item in read.set_aside for path in item.files}
    except NoPerfusionError as error:
        used = set()
        aside = {path for item in error.set_aside for path in item.files}

    assert used | aside == set(paths)  # nothing vanishes
    assert time.process_time() - started < MOST_SECONDS * len(paths)


@pytest.mark.parametrize("where", ["instances.parse", "pixels.iter_pixels"])
def test_want_of_memory_breaks_no_image(tmp_path, monkeypatch, where):
    paths = write(Series(slices=1, frames=24).datasets(), tmp_path)

    def too_much(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(f"node.dicom_read.{where}", too_much)
    with pytest.raises(MemoryError):
        read_study(paths, Analysis())


@pytest.mark.parametrize("keyword", [
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Rows", "SOPInstanceUID",
    "SeriesInstanceUID", "StudyInstanceUID", "SOPClassUID", "PixelData", "AcquisitionTime",
])  # fmt: skip
def test_an_image_that_lacks_what_is_needed_is_set_aside_and_the_others_are_read(tmp_path, keyword):
    paths = write(Series(slices=1, frames=30).datasets(), tmp_path)
    dataset = dcmread(paths[5])
    if keyword != "AcquisitionTime":
        delattr(dataset, keyword)
    else:
        dataset.AcquisitionTime = ""
    dataset.save_as(paths[5], enforce_file_format=keyword not in ("SOPInstanceUID", "SOPClassUID"))

    read = read_study(paths, Analysis())

    assert read.study.first_passes[0].slices[0].frames.shape[0] == 29
    assert read.sources[0].time_key == "AcquisitionTime"
    assert [item.files for item in read.set_aside] == [(paths[5],)]


def test_no_sentence_carries_patient_data(tmp_path):
    def secret(_index, time, dataset):
        dataset.PatientName = "Geheim^Erika"
        dataset.PatientID = "ID-4711"
        dataset.PatientBirthDate = "19510203"
        dataset.SeriesDescription = "stress Geheim"
        dataset.ImageComments = "Geheim"
        if time == 3:
            dataset.ImagePositionPatient = [1.0, 2.0]
        if time == 4:
            dataset.PixelData = dataset.PixelData[:-20]
        if time == 5:
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "P"]

    paths = write(Series(slices=1, frames=40, change=secret).datasets(), tmp_path)
    cine = write(Series(number=3, description="cine Geheim").datasets(), tmp_path / "cine")

    read = read_study([*paths, *cine], Analysis())
    with pytest.raises(NoPerfusionError) as raised:
        read_study([*cine, *paths[:5]], Analysis())

    first_pass = read.study.first_passes[0]
    sentences = [
        *read.study.notes,
        first_pass.state_reason,
        str(raised.value),
        *(f"{item.what} {item.reason}" for item in read.set_aside),
    ]
    assert len(read.set_aside) >= 3
    for sentence in sentences:
        for private in ("geheim", "erika", "4711", "19510203"):
            assert private not in sentence.lower()


def test_a_nested_sequence_deeper_than_any_real_one_is_survived(tmp_path):
    dataset = Series(slices=1, frames=1).datasets()[0]
    inner = Dataset()
    for _ in range(60):
        outer = Dataset()
        outer.ReferencedImageSequence = [inner]
        inner = outer
    dataset.ReferencedImageSequence = [inner]

    with pytest.raises(NoPerfusionError, match="one image at each position"):
        read_study(write([dataset], tmp_path), Analysis())


def test_a_field_strength_without_constants_is_refused_by_its_own_error(tmp_path):
    def seven_tesla(_index, _time, dataset):
        dataset.MagneticFieldStrength = 7

    with pytest.raises(UnknownPhysicsError, match="field strength of 7 T"):
        read_study(write(Series(change=seven_tesla).datasets(), tmp_path), Analysis())


@pytest.mark.parametrize("value", [-1, 0, "nan", 1e30])
@pytest.mark.parametrize(
    "keyword",
    ["EchoTime", "FlipAngle", "InversionTime", "RepetitionTime", "NumberOfPhaseEncodingSteps"],
)
def test_impossible_numbers_in_headers_never_reach_the_physics(tmp_path, keyword, value):
    def change(_index, _time, dataset):
        with tolerant_reading():
            dataset[keyword].value = "-1" if keyword.startswith("Number") else value

    with tolerant_reading():
        datasets = Series(slices=1, frames=20, change=change).datasets()
        paths = write(datasets, tmp_path)
    try:
        readout = read_study(paths, Analysis()).study.first_passes[0].physics.readout
    except NoPerfusionError:
        return  # an echo time that cannot be, for instance, is no perfusion

    assert 0 < readout.repetition_time_s < 0.05
    assert 0 <= readout.echo_time_s < 0.05
    assert 0 < readout.flip_angle_rad < 3.2
    assert 0 < readout.saturation_delay_s < 2
    assert 0 <= readout.pulses_before_centre < 1000
