"""What all result objects share: patient and study as they came, equipment, dates, identifiers.

No clock is read: the dates of a result are those of its newest source image, so that the same
study always gives the same bytes.
"""

import copy
import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from node.dicom_write import codes
from node.dicom_write.earlier import Replacing
from node.dicom_write.text import ascii_text
from node.dicom_write.uids import Uids

PRODUCT = "perfusion-node"
NOTICE = "Research use only. Not for diagnosis."
RESEARCH = "RESEARCH"

_EMPTY_WHERE_ABSENT = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
)
"""Type 2 in the Patient and General Study modules (PS3.3 C.7.1.1, C.7.2.1)."""

_COPIED = (
    "SpecificCharacterSet",
    "TimezoneOffsetFromUTC",
    *_EMPTY_WHERE_ABSENT,
    "IssuerOfPatientID",
    "IssuerOfPatientIDQualifiersSequence",
    "OtherPatientIDsSequence",
    "PatientBirthTime",
    "EthnicGroup",
    "PatientComments",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "DeidentificationMethodCodeSequence",
    "StudyInstanceUID",
    "StudyDescription",
    "IssuerOfAccessionNumberSequence",
    "ReferringPhysicianIdentificationSequence",
    "ConsultingPhysicianName",
    "PhysiciansOfRecord",
    "NameOfPhysiciansReadingStudy",
    "RequestingService",
    "ReferencedStudySequence",
    "ProcedureCodeSequence",
    "AdmittingDiagnosesDescription",
    "PatientAge",
    "PatientSize",
    "PatientWeight",
    "Occupation",
    "AdditionalPatientHistory",
    "AdmissionID",
    "IssuerOfAdmissionIDSequence",
    "ClinicalTrialSponsorName",
    "ClinicalTrialProtocolID",
    "ClinicalTrialProtocolName",
    "ClinicalTrialSiteID",
    "ClinicalTrialSiteName",
    "ClinicalTrialSubjectID",
    "ClinicalTrialSubjectReadingID",
    "ClinicalTrialTimePointID",
    "ClinicalTrialTimePointDescription",
)
"""Patient, General Study, Patient Study and Clinical Trial modules: the same in every object."""

_VALID = {
    "AS": re.compile(r"\d{3}[DWMY]"),
    "DA": re.compile(r"(19|2\d)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])"),
    "DS": re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"),
    "TM": re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?"),
    "UI": re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))*"),
}
"""Values of these representations that are not so are not passed on (PS3.5 6.2)."""

_UNKNOWN_DATE, _UNKNOWN_TIME = "19700101", "000000"


@dataclass(frozen=True, eq=False)
class Provenance:
    """Where the results of one analysis come from, and what made them."""

    headers: tuple[Dataset, ...]
    """One a slice, without pixels, the study's first slice first; never empty."""
    uids: Uids
    version: str
    settings: str
    """Readable; part of what the identifiers depend on."""
    series_number_base: int
    replacing: Replacing = field(default_factory=Replacing)

    @property
    def stamp(self) -> tuple[str, str]:
        """Date and time of the newest source image."""
        return max(map(_stamp, self.headers))

    @property
    def start(self) -> dt.datetime:
        """When the first image of the study was made."""
        date, time = min(map(_stamp, self.headers))
        whole, _, fraction = time.partition(".")
        return dt.datetime.strptime(  # noqa: DTZ007  DICOM times are local to the scanner
            f"{date}{whole:0<6}.{fraction or 0}", "%Y%m%d%H%M%S.%f"
        )

    def series_number(self, first_pass: int, kind: int) -> int:
        """Give a series its number: a block of ten per first pass, the study's own block first."""
        return self.series_number_base + 10 * first_pass + kind


def new_object(
    provenance: Provenance,
    sop_class_uid: UID,
    *,
    modality: str,
    series: tuple[object, ...],
    series_number: int,
    series_description: str,
    instance_number: int = 1,
) -> Dataset:
    """Begin a result object: patient, study, series, equipment and common attributes.

    Parameters
    ----------
    series
        What the series is; with `instance_number` it makes the identifiers.
    """
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.SOPClassUID = sop_class_uid
    dataset.SOPInstanceUID = provenance.uids.uid(*series, instance_number)
    dataset.Modality = modality
    dataset.SeriesInstanceUID = provenance.uids.uid(*series)
    dataset.SeriesNumber = series_number
    dataset.InstanceNumber = instance_number
    dataset.Manufacturer = PRODUCT
    dataset.ManufacturerModelName = PRODUCT
    dataset.DeviceSerialNumber = PRODUCT
    dataset.SoftwareVersions = provenance.version
    finish(dataset, provenance, series_description)
    return dataset


def finish(dataset: Dataset, provenance: Provenance, series_description: str) -> None:
    """Set what is the same in every object, whichever library made it."""
    copy_patient_and_study(provenance, dataset)
    dataset.SeriesDescription = ascii_text(series_description, 64)
    dataset.BodyPartExamined = "HEART"
    date, time = provenance.stamp
    dataset.SeriesDate = dataset.ContentDate = date
    dataset.SeriesTime = dataset.ContentTime = time
    for keyword in ("InstanceCreationDate", "InstanceCreationTime"):  # would need a clock
        if keyword in dataset:
            delattr(dataset, keyword)
    dataset.ContributingEquipmentSequence = _equipment(provenance)
    meta = dataset.file_meta
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID("2.25.190146739178241826313446103943172086545")
    meta.ImplementationVersionName = ascii_text(f"PERFNODE {provenance.version}")[:16]


def copy_patient_and_study(provenance: Provenance, target: Dataset) -> None:
    """Copy patient and study as they came; close the gaps that would make the object invalid.

    Type 2 attributes that the source misses become empty; values that break their value
    representation are left out; a patient's sex outside M, F, O becomes empty.
    """
    source = provenance.headers[0]
    copy_valid(source, target, _COPIED)
    for keyword in _EMPTY_WHERE_ABSENT:
        if keyword not in target:
            setattr(target, keyword, "")
    if target.PatientSex not in ("M", "F", "O", ""):
        target.PatientSex = ""
    if not target.get("StudyInstanceUID"):
        target.StudyInstanceUID = provenance.uids.uid("study")


def copy_valid(source: Dataset, target: Dataset, keywords: Iterable[str]) -> None:
    """Copy those of `keywords` that the source has with a value of the right form."""
    for keyword in keywords:
        if keyword in source and _is_valid(source, keyword):
            target[keyword] = copy.deepcopy(source[keyword])


def item_for_acquisition(header: Dataset) -> Dataset | None:
    """Describe the scanner (Contributing Equipment, PS3.3 C.12.1); None: maker not known."""
    if not header.get("Manufacturer"):
        return None
    item = Dataset()
    item.PurposeOfReferenceCodeSequence = [codes.item(codes.ACQUISITION_EQUIPMENT)]
    copy_valid(
        header,
        item,
        (
            "Manufacturer",
            "InstitutionName",
            "InstitutionAddress",
            "StationName",
            "InstitutionalDepartmentName",
            "ManufacturerModelName",
            "DeviceSerialNumber",
            "SoftwareVersions",
        ),
    )
    return item


def _equipment(provenance: Provenance) -> list[Dataset]:
    scanner = item_for_acquisition(provenance.headers[0])
    node = Dataset()
    node.PurposeOfReferenceCodeSequence = [codes.item(codes.PROCESSING_EQUIPMENT)]
    node.Manufacturer = PRODUCT
    node.ManufacturerModelName = PRODUCT
    node.SoftwareVersions = provenance.version
    node.ContributionDescription = ascii_text(f"First-pass perfusion quantification. {NOTICE}")
    return [node] if scanner is None else [scanner, node]


def _is_valid(source: Dataset, keyword: str) -> bool:
    try:
        element = source[keyword]
    except (ValueError, TypeError, LookupError, NotImplementedError):
        return False  # the bytes are no value of this kind
    form = _VALID.get(element.VR)
    if form is None or element.is_empty:
        return True
    values = element.value if element.VM > 1 else [element.value]
    return all(form.fullmatch(str(value).strip()) for value in values)


def _stamp(header: Dataset) -> tuple[str, str]:
    """Date and time at which the image was made; the first pair with a valid date."""
    for what in ("Acquisition", "Content", "Series", "Study"):
        date, time = str(header.get(f"{what}Date", "")), str(header.get(f"{what}Time", ""))
        if _VALID["DA"].fullmatch(date):
            return date, time if _VALID["TM"].fullmatch(time) else _UNKNOWN_TIME
    return _UNKNOWN_DATE, _UNKNOWN_TIME
