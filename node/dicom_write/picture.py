"""Colour pages (Secondary Capture Image IOD, PS3.3 A.8.1): the one thing every PACS shows."""

from collections.abc import Sequence

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from node.dicom_write.provenance import Provenance, new_object
from pipeline.study import IntArray

KIND = 1


def encode_pictures(
    pages: Sequence[IntArray], provenance: Provenance, *, what: str, series_description: str
) -> list[Dataset]:
    """Make one series of RGB pages.

    Parameters
    ----------
    pages
        Each 8 bit [row, column, (red, green, blue)].
    """
    return [
        _encode_picture(page, number, provenance, what, series_description)
        for number, page in enumerate(pages, start=1)
    ]


def _encode_picture(
    page: IntArray, number: int, provenance: Provenance, what: str, series_description: str
) -> Dataset:
    dataset = new_object(
        provenance,
        SecondaryCaptureImageStorage,
        modality="OT",
        series=("pictures", what),
        series_number=provenance.series_number(0, KIND),
        series_description=series_description,
        instance_number=number,
    )
    dataset.ConversionType = "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY", "OTHER", "PERFUSION"]
    dataset.PatientOrientation = ""
    dataset.BurnedInAnnotation = "YES"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = page.shape
    dataset.PhotometricInterpretation = "RGB"
    dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit = 7
    dataset.PixelRepresentation = 0
    dataset.LossyImageCompression = "00"
    pixels = np.ascontiguousarray(page, dtype=np.uint8).tobytes()
    dataset.add_new("PixelData", "OB", pixels + b"\0" * (len(pixels) % 2))
    return dataset
