"""What is sent when nothing could be analysed: a page and a report that say why.

Silence is a defect: whoever sent the study must see that it arrived and what it lacked.
"""

from collections.abc import Sequence

from pydicom.dataset import Dataset
from pydicom.uid import BasicTextSRStorage

from node.dicom_write import codes
from node.dicom_write.document import container, document, language, observer, text
from node.dicom_write.earlier import Replacing
from node.dicom_write.picture import encode_pictures
from node.dicom_write.provenance import NOTICE, Provenance
from node.dicom_write.rejection import encode_rejection
from node.dicom_write.uids import Uids
from node.pictures import text_pages

NEEDED = (
    (
        "A first-pass perfusion series: saturation-recovery MR images of one to several short-axis "
        "slices, 20 or more heartbeats each, from before the contrast agent arrives until after "
        "its first passage, with acquisition times and slice positions in the headers."
    ),
    "Two of them, at rest and under stress, for the perfusion reserve.",
)
"""The images that would have been needed, in words."""

NEEDED_FOR_NUMBERS = (
    "Images without what is said above; they were outlined and aligned all the same, see there.",
    (
        "Where sequence parameters or the dose are missing in the headers: their values in the "
        "configuration, under analysis.protocols."
    ),
)
"""The same where numbers were found but are withheld."""

TITLE = "Perfusion not analysed"
WITHHELD_TITLE = "Perfusion numbers withheld"


def encode_not_analysed(
    header: Dataset,
    reasons: Sequence[str],
    *,
    instances: Sequence[str],
    version: str,
    settings: str,
    series_number_base: int,
    replacing: Replacing | None = None,
    rejection_note: bool = True,
) -> list[Dataset]:
    """Say in the study why there are no numbers: one Secondary Capture and one Basic Text SR.

    Parameters
    ----------
    header
        Any data set of the study; whatever it lacks is closed.
    reasons
        Sentences, without patient data.
    instances
        SOP Instance UIDs of everything that was looked at.
    replacing
        What was made before of the same study.
    rejection_note
        Whether a note rejects what is replaced.
    """
    replacing = replacing or Replacing()
    provenance = Provenance(
        headers=(header,),
        uids=Uids.of([*instances, *reasons], version, f"{settings}{replacing.salt}"),
        version=version,
        settings=settings,
        series_number_base=series_number_base,
        replacing=replacing,
    )
    objects = encode_no_numbers(provenance, reasons, NEEDED)
    return [*objects, *encode_rejection(provenance, objects)] if rejection_note else objects


def encode_no_numbers(
    provenance: Provenance, reasons: Sequence[str], needed: Sequence[str], title: str = TITLE
) -> list[Dataset]:
    """Make the page and the report."""
    told = [("Because", reasons), ("Needed", needed)]
    if provenance.replacing.latest is not None:
        told.append(("Replaces", provenance.replacing.sentences))
    pages = text_pages(title, told, provenance.version)
    description = f"{title} RESEARCH"
    words = (title, *(tuple(sentences) for _, sentences in told))
    what = f"no numbers {provenance.uids.key_of(words)}"
    pictures = encode_pictures(pages, provenance, what=what, series_description=description)
    return [*pictures, _report(provenance, reasons, needed, title, what)]


def _report(
    provenance: Provenance,
    reasons: Sequence[str],
    needed: Sequence[str],
    title: str,
    what: str,
) -> Dataset:
    findings = [text(codes.FINDING, f"{title}, because: {reason}") for reason in reasons]
    advice = [text(codes.RECOMMENDATION, sentence) for sentence in (*needed, NOTICE)]
    findings += [text(codes.COMMENT, sentence) for sentence in provenance.replacing.sentences]
    return document(
        provenance,
        BasicTextSRStorage,
        codes.IMAGING_REPORT,
        [
            language(),
            *observer(provenance),
            container(codes.FINDINGS_SECTION, findings),
            container(codes.RECOMMENDATIONS_SECTION, advice),
        ],
        what=what,
        series_description=f"{title} RESEARCH",
    )
