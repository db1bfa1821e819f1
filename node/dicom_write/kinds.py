"""Which kind of result an object is: the names that the configuration chooses by."""

from typing import Final

from pydicom import Dataset
from pydicom.uid import (
    BasicTextSRStorage,
    ComprehensiveSRStorage,
    EncapsulatedPDFStorage,
    KeyObjectSelectionDocumentStorage,
    MRImageStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from node.errors import EncodingError

REJECTION: Final = "rejection"
"""The note by which a PACS takes replaced results out of sight; sent where they are."""

_BY_CLASS: Final = {
    BasicTextSRStorage: "report",
    ComprehensiveSRStorage: "report",
    EncapsulatedPDFStorage: "pdf",
    KeyObjectSelectionDocumentStorage: REJECTION,
    ParametricMapStorage: "parametric-map",
    SecondaryCaptureImageStorage: "pictures",
    SegmentationStorage: "segmentation",
}

_BY_LAST_IMAGE_TYPE: Final = {"MBF": "mbf-mr", "MOCO": "motion", "REFERENCE": "reference"}


def kind_of(dataset: Dataset) -> str:
    """Name the kind of one of our result objects, as in the setting ``results.objects``.

    Raises
    ------
    EncodingError
        It is none of ours.
    """
    sop_class = dataset.SOPClassUID
    if sop_class == MRImageStorage:
        kind = _BY_LAST_IMAGE_TYPE.get(dataset.ImageType[-1])
    else:
        kind = _BY_CLASS.get(sop_class)
    if kind is None:
        raise EncodingError(f"no kind of result for SOP class {sop_class}")
    return kind
