import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from node.config import Analysis
from node.dicom_read import PixelDataError, read_study
from tests.node.instances import Series, set_pixels, update, write


def signal(datasets, folder):
    """Return the frames of the one slice [time, row, column]."""
    read = read_study(write(datasets, folder), Analysis())
    return read.study.first_passes[0].slices[0].frames


def ramp(_index, time, dataset):
    """Give every pixel its own value, up to twelve bits."""
    set_pixels(dataset, (np.arange(4096, dtype=np.uint16) // 2 + time).reshape(64, 64))


EXPECTED = (np.arange(4096) // 2).reshape(64, 64) + np.arange(24)[:, np.newaxis, np.newaxis]


@pytest.mark.parametrize(
    "syntax",
    [RLELossless, JPEGLSLossless, JPEG2000Lossless],
    ids=lambda syntax: syntax.name,
)
def test_compressed_pixel_data_are_read_without_loss(tmp_path, syntax):
    datasets = Series(slices=1, change=ramp).datasets()
    for dataset in datasets:
        dataset.compress(syntax, generate_instance_uid=False)

    np.testing.assert_array_equal(signal(datasets, tmp_path), EXPECTED)


@pytest.mark.parametrize("little", [True, False], ids=["implicit", "big endian"])
def test_other_native_encodings_are_read(tmp_path, little):
    def change(index, time, dataset):
        ramp(index, time, dataset)
        if little:
            dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        else:
            dataset.PixelData = dataset.pixel_array.astype(">u2").tobytes()
            dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
            dataset["PixelData"].VR = "OW"

    np.testing.assert_array_equal(
        signal(Series(slices=1, change=change).datasets(), tmp_path), EXPECTED
    )


def test_every_real_compressed_syntax_gives_the_values_of_the_native_file(shared_data):
    """Siemens, nine transfer syntaxes of one image: native, RLE, JPEG, JPEG-LS, JPEG 2000."""
    from node.dicom_read.frames import frames_of
    from node.dicom_read.header import tolerant_reading
    from node.dicom_read.instances import Aside, open_instances
    from node.dicom_read.pixels import read_signal

    files = sorted((shared_data / "vendor-headers" / "ts" / "In").glob("*.dcm"))
    with tolerant_reading():
        images = []
        for file in files:  # one at a time: all have one UID
            (instance,) = open_instances([file], Aside())
            (image,) = read_signal(frames_of(instance, Aside()))
            images.append(image)

    native = pydicom.dcmread(files[0]).pixel_array
    assert len(images) == 9
    for image in images:
        np.testing.assert_array_equal(image, native)


def test_negative_values_and_padding_are_understood(tmp_path):
    def change(_index, time, dataset):
        pixels = np.full((12, 10), time - 10, dtype=np.int16)
        pixels[0] = -32768
        set_pixels(dataset, pixels)
        dataset.PixelPaddingValue = -32768

    frames = signal(Series(slices=1, change=change).datasets(), tmp_path)

    assert np.all(frames[:, 0] == 0)
    np.testing.assert_array_equal(frames[:, 5, 5], np.arange(24) - 10)


def test_bits_beyond_those_stored_are_not_signal(tmp_path):
    def change(_index, time, dataset):
        set_pixels(dataset, np.full((12, 10), 0xA000 | (100 + time), dtype=np.uint16))
        update(dataset, BitsStored=12, HighBit=11)  # an overlay lives in the upper four

    frames = signal(Series(slices=1, change=change).datasets(), tmp_path)

    np.testing.assert_array_equal(frames[:, 0, 0], 100 + np.arange(24))


def test_rescale_slope_and_intercept_are_applied_to_each_image(tmp_path):
    def change(_index, time, dataset):
        update(dataset, RescaleSlope=0.5 + time, RescaleIntercept=-3)

    frames = signal(Series(slices=1, change=change).datasets(), tmp_path)

    time = np.arange(24)
    np.testing.assert_allclose(frames[:, 0, 0], time * (0.5 + time) - 3)


def test_philips_private_scale_makes_series_comparable(tmp_path):
    """FP = DV / (RS SS): the same signal, stored on two grey scales, is the same again."""

    def scaled(slope, scale):
        def change(_index, time, dataset):
            stored = np.full((12, 10), round((100 + time) * scale / 1e-3), dtype=np.uint16)
            set_pixels(dataset, stored)
            update(dataset, RescaleSlope=slope, RescaleIntercept=0, Manufacturer="Philips")
            block = dataset.private_block(0x2005, "Philips MR Imaging DD 001", create=True)
            block.add_new(0x0E, "FL", scale)

        return change

    one = signal(Series(slices=1, change=scaled(1.29, 4e-3)).datasets(), tmp_path / "one")
    other = signal(Series(slices=1, change=scaled(0.66, 9e-3)).datasets(), tmp_path / "other")

    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_images_that_cannot_be_decoded_are_left_out(tmp_path):
    datasets = Series(slices=1, frames=30, change=ramp).datasets()
    spoil(datasets[4:6])
    read = read_study(write(datasets, tmp_path), Analysis())

    image_slice = read.study.first_passes[0].slices[0]
    assert image_slice.frames.shape[0] == 28
    assert np.diff(image_slice.time_s).max() == pytest.approx(2.4, abs=1e-5)
    (left_out,) = read.set_aside
    assert "cannot be decoded" in left_out.reason
    assert len(left_out.files) == 2


def spoil(datasets):
    for dataset in datasets:
        dataset.compress(JPEG2000Lossless, generate_instance_uid=False)
        dataset.PixelData = dataset.PixelData[:60] + bytes(len(dataset.PixelData) - 60)


def test_a_slice_of_which_too_few_images_can_be_decoded_is_left_out_and_said(tmp_path):
    datasets = Series(slices=2, frames=24, change=ramp).datasets()
    spoil(datasets[:6])
    read = read_study(write(datasets, tmp_path), Analysis())

    assert len(read.study.first_passes[0].slices) == 1
    assert [(one.reason[:30], len(one.files)) for one in read.set_aside] == [
        ("a slice has 18 images, too few", 18),
        ("its pixel data cannot be decod", 6),
    ]


def test_a_study_without_any_readable_pixel_data_has_its_own_error(tmp_path):
    datasets = Series(slices=1).datasets()
    for dataset in datasets:
        dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.PixelData = dataset.PixelData[:20] + bytes(len(dataset.PixelData) - 20)

    with pytest.raises(PixelDataError, match="cannot be read"):
        read_study(write(datasets, tmp_path), Analysis())


def test_a_deflated_instance_is_read(tmp_path):
    datasets = Series(slices=1, change=ramp).datasets()
    for dataset in datasets:
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian

    np.testing.assert_array_equal(signal(datasets, tmp_path), EXPECTED)


def test_an_unknown_transfer_syntax_is_said_and_not_guessed(tmp_path):
    datasets = Series(slices=1, frames=25).datasets()
    paths = write(datasets, tmp_path)
    blob = paths[3].read_bytes()
    paths[3].write_bytes(
        blob.replace(ExplicitVRLittleEndian.encode(), ExplicitVRLittleEndian[:-1].encode() + b"9")
    )

    read = read_study(paths, Analysis())

    assert read.study.first_passes[0].slices[0].frames.shape[0] == 24
    assert len(read.set_aside) == 1
