"""The note by which a PACS takes replaced results out of sight (IHE RAD IOCM, PS3.16 TID 2010).

The title is (113001, DCM, Rejected for Quality Reasons): what a later revision replaced was made
from too few images. The other titles of IOCM would say what is not so: a danger for the patient
(113037), a wrong worklist entry (113038), an end of storage (113039).
"""

from collections.abc import Iterable, Sequence

from highdicom.sr import CompositeContentItem, ContentItem, ImageContentItem
from pydicom.dataset import Dataset
from pydicom.uid import KeyObjectSelectionDocumentStorage

from node.dicom_write import codes
from node.dicom_write.document import code, language, observer, structured, text
from node.dicom_write.provenance import Provenance

KIND = 3


def encode_rejection(provenance: Provenance, made: Sequence[Dataset]) -> list[Dataset]:
    """Make the note that rejects what `made` replaces; nothing where it replaces nothing."""
    replacing = provenance.replacing
    if replacing.latest is None:
        return []
    kept = {str(one.SOPInstanceUID) for one in made}
    rejected = [one for one in replacing.latest.objects if str(one.SOPInstanceUID) not in kept]
    if not rejected:
        return []
    uids = sorted(str(one.SOPInstanceUID) for one in rejected)
    note = structured(
        provenance,
        KeyObjectSelectionDocumentStorage,
        codes.REJECTED,
        [
            language(),
            code(codes.TITLE_MODIFIER, codes.OTHER_FAILURE, "HAS CONCEPT MOD"),
            *observer(provenance),
            text(codes.KEY_OBJECT_DESCRIPTION, f"Replaced. {' '.join(replacing.sentences)}"),
            *_references(rejected),
        ],
        modality="KO",
        series=("rejection", provenance.uids.key_of(uids)),
        kind=KIND,
        series_description="Replaced results RESEARCH",
        evidence=rejected,
        template="2010",
    )
    return [note]


def _references(objects: Iterable[Dataset]) -> list[ContentItem]:
    return [
        (ImageContentItem if "Rows" in one else CompositeContentItem)(
            name=codes.SOURCE,
            referenced_sop_class_uid=one.SOPClassUID,
            referenced_sop_instance_uid=one.SOPInstanceUID,
            relationship_type="CONTAINS",
        )
        for one in objects
    ]
