"""Siemens classic (VA to VE): AcquisitionTime per image, the readout in a private CSA header.

One series per slice, or all slices in one. AcquisitionNumber is 1 in every image and
RepetitionTime the time per slice, as read on real data.
"""

import struct
from collections.abc import Iterator

from pydicom.dataset import Dataset

from node.dicom_phantom.common import (
    Subject,
    clock,
    inversion_time_ms,
    lines_of,
    put_pixels,
    put_window,
    start_image,
)
from node.dicom_phantom.pictures import Acquisition, Picture
from pipeline.study import Readout, SequenceKind

LARGEST_STORED = 4095.0


def siemens(subject: Subject, made: list[Acquisition]) -> Iterator[Dataset]:
    """Yield the images of all acquisitions, one series per slice."""
    yield from _images(subject, made, per_slice=True)


def siemens_single_series(subject: Subject, made: list[Acquisition]) -> Iterator[Dataset]:
    """Yield the images of all acquisitions, all slices in one series."""
    yield from _images(subject, made, per_slice=False)


def _images(subject: Subject, made: list[Acquisition], *, per_slice: bool) -> Iterator[Dataset]:
    # one receiver gain for the whole study, so that rest and stress can be compared
    factor = min(1.0, LARGEST_STORED / max(acquisition.largest for acquisition in made))
    for acquisition in made:
        for picture in acquisition.pictures:
            yield _image(subject, acquisition, picture, factor, per_slice=per_slice)


def _image(
    subject: Subject, acquisition: Acquisition, picture: Picture, factor: float, *, per_slice: bool
) -> Dataset:
    series = f"{acquisition.key}/{picture.position if per_slice else 'all'}"
    instance = picture.frame + 1
    if not per_slice:
        instance = picture.frame * acquisition.n_slices + picture.position + 1
    dataset = start_image(subject, acquisition, picture, series, instance)
    dataset.Manufacturer = "SIEMENS"
    dataset.ManufacturerModelName = "Simulated"
    dataset.SoftwareVersions = "syngo MR E11"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
    dataset.SeriesNumber = 10 * acquisition.number + (picture.position if per_slice else 0)
    dataset.AcquisitionTime = clock(picture.time_s)
    dataset.AcquisitionNumber = 1
    balanced = picture.readout.sequence is SequenceKind.BALANCED_SSFP
    dataset.SequenceName = "*tfi2d1" if balanced else "*tfl2d1"
    dataset.RepetitionTime = f"{_duration_ms(picture.readout):.3f}"
    block = dataset.private_block(0x0029, "SIEMENS CSA HEADER", create=True)
    block.add_new(0x08, "CS", "IMAGE NUM 4")
    block.add_new(0x09, "LO", "20200101")
    block.add_new(0x10, "OB", _csa_header(picture, acquisition.start_s))
    put_pixels(dataset, picture.pixels * factor)
    put_window(dataset, acquisition.largest * factor)
    return dataset


def _duration_ms(readout: Readout) -> float:
    """Saturation to the last echo."""
    after = (lines_of(readout) - readout.pulses_before_centre) * readout.repetition_time_s * 1e3
    return inversion_time_ms(readout) + after


def _csa_header(picture: Picture, start_s: float) -> bytes:
    """CSA image header, version SV10: elements of one item each that tell of the readout."""
    readout = picture.readout
    values = {
        "EchoLinePosition": ("IS", str(readout.pulses_before_centre)),
        "MeasuredFourierLines": ("IS", str(lines_of(readout))),
        "SliceMeasurementDuration": ("DS", f"{_duration_ms(readout):.3f}"),
        "TimeAfterStart": ("DS", f"{picture.time_s - start_s:.4f}"),
    }
    data = struct.pack("<4s4s2I", b"SV10", b"\4\3\2\1", len(values), 77)
    for name, (vr, text) in values.items():
        value = text.encode() + b"\0"
        data += struct.pack("<64si4siii", name.encode(), 1, vr.encode(), 6, 1, 77)
        data += struct.pack("<4i", len(value), len(value), 77, len(value))
        data += value + b"\0" * (-len(value) % 4)
    return data + b"\0" * (len(data) % 2)
