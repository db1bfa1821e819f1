"""The pages as Encapsulated PDF (PS3.3 A.45.1), for archives that file documents."""

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from node.dicom_write import codes
from node.dicom_write.provenance import Provenance, new_object
from node.pictures import pdf
from pipeline.study import IntArray

KIND = 2
TITLE = "Perfusion pages RESEARCH"


def encode_booklet(pages: Sequence[IntArray], provenance: Provenance, *, what: str) -> Dataset:
    """Make one document of the pages of a study."""
    content = pdf(pages, TITLE)
    dataset = new_object(
        provenance,
        EncapsulatedPDFStorage,
        modality="DOC",
        series=("booklet", what),
        series_number=provenance.series_number(0, KIND),
        series_description=TITLE,
    )
    del dataset.BodyPartExamined  # a document shows no body part
    dataset.ConversionType = "WSD"
    dataset.AcquisitionDateTime = "".join(provenance.stamp)
    dataset.BurnedInAnnotation = "YES"
    dataset.DocumentTitle = TITLE
    dataset.ConceptNameCodeSequence = [codes.item(codes.IMAGING_REPORT)]
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocumentLength = len(content)
    dataset.add_new("EncapsulatedDocument", "OB", content + b"\0" * (len(content) % 2))
    return dataset
