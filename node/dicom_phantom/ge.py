"""GE classic: one series, one AcquisitionTime; TriggerTime runs on through the series."""

from collections.abc import Iterator

from pydicom.dataset import Dataset

from node.dicom_phantom.common import Subject, clock, put_pixels, put_window, start_image
from node.dicom_phantom.pictures import Acquisition

_LARGEST_STORED = 4095.0


def ge(subject: Subject, made: list[Acquisition]) -> Iterator[Dataset]:
    """Yield the images of all acquisitions."""
    factor = min(1.0, _LARGEST_STORED / max(acquisition.largest for acquisition in made))
    for acquisition in made:
        first_s = min(picture.time_s for picture in acquisition.pictures)
        for picture in acquisition.pictures:
            instance = picture.position * acquisition.n_frames + picture.frame + 1
            dataset = start_image(subject, acquisition, picture, acquisition.key, instance)
            dataset.Manufacturer = "GE MEDICAL SYSTEMS"
            dataset.ManufacturerModelName = "Simulated"
            dataset.SoftwareVersions = "DV26"
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
            dataset.SeriesNumber = acquisition.number
            dataset.AcquisitionTime = clock(first_s)
            dataset.AcquisitionNumber = 1
            dataset.RepetitionTime = f"{picture.readout.repetition_time_s * 1e3:.3f}"
            dataset.TriggerTime = f"{(picture.time_s - first_s) * 1e3:.1f}"
            dataset.TemporalPositionIdentifier = picture.frame + 1
            dataset.NumberOfTemporalPositions = acquisition.n_frames
            put_pixels(dataset, picture.pixels * factor)
            put_window(dataset, acquisition.largest * factor)
            yield dataset
