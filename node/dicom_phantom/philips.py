"""Philips classic: temporal positions, each series with its own grey scale, times in private tags.

Stored values SV become FP = SV / SS (private scale slope), which is comparable between series, and
DV = SV RS + RI, which is not. InstanceNumber has no order.
"""

from collections.abc import Iterator

import numpy as np
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
from pipeline.study import SequenceKind

_LARGEST_STORED = 4095.0
_IMAGING = "Philips Imaging DD 001"
_MR_IMAGING = "Philips MR Imaging DD 001"


def philips(subject: Subject, made: list[Acquisition]) -> Iterator[Dataset]:
    """Yield the images of all acquisitions."""
    for acquisition in made:
        order = np.random.default_rng(subject.seed).permutation(len(acquisition.pictures)) + 1
        for picture, instance in zip(acquisition.pictures, order, strict=True):
            yield _image(subject, acquisition, picture, int(instance))


def scale_slopes(acquisition: Acquisition) -> tuple[float, float]:
    """SS, which fills the stored range, and an RS that stretches the series for display."""
    scale = _LARGEST_STORED / acquisition.largest
    return scale, 0.5 + 0.25 * acquisition.number


def put_private(dataset: Dataset, acquisition: Acquisition, picture: Picture) -> None:
    """Add the private attributes that say when and how the image was taken."""
    scale, _ = scale_slopes(acquisition)
    imaging = dataset.private_block(0x2001, _IMAGING, create=True)
    imaging.add_new(0x0A, "IS", picture.position + 1)
    imaging.add_new(0x1B, "FL", inversion_time_ms(picture.readout))
    imaging.add_new(0x1C, "CS", "NO" if picture.proton_density else "SAT")
    imaging.add_new(0x81, "IS", acquisition.n_frames)
    more = dataset.private_block(0x2005, _MR_IMAGING, create=True)
    more.add_new(0x0E, "FL", scale)
    more.add_new(0x30, "FL", [picture.readout.repetition_time_s * 1e3, 0.0])
    begin = picture.time_s - picture.delay_in_beat_s - acquisition.start_s
    more.add_new(0xA0, "FL", begin)


def _image(subject: Subject, acquisition: Acquisition, picture: Picture, instance: int) -> Dataset:
    dataset = start_image(subject, acquisition, picture, acquisition.key, instance)
    dataset.Manufacturer = "Philips Medical Systems"
    dataset.ManufacturerModelName = "Simulated"
    dataset.SoftwareVersions = "5.7.1"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M_FFE", "M", "FFE"]
    dataset.SeriesNumber = 100 * acquisition.number + 1
    dataset.AcquisitionTime = clock(acquisition.start_s)
    dataset.AcquisitionNumber = acquisition.number
    balanced = picture.readout.sequence is SequenceKind.BALANCED_SSFP
    dataset.SequenceName = "BTFE" if balanced else "TFE"
    dataset.RepetitionTime = f"{picture.readout.repetition_time_s * 1e3:.3f}"
    dataset.EchoTrainLength = lines_of(picture.readout)
    dataset.TemporalPositionIdentifier = picture.frame + 1
    dataset.NumberOfTemporalPositions = acquisition.n_frames
    scale, rescale = scale_slopes(acquisition)
    dataset.RescaleSlope, dataset.RescaleIntercept = f"{rescale:g}", "0"
    dataset.RescaleType = "US"
    put_private(dataset, acquisition, picture)
    put_pixels(dataset, picture.pixels * scale)
    put_window(dataset, _LARGEST_STORED * rescale)
    return dataset
