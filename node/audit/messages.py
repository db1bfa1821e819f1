"""The parts of an audit message (PS3.15 A.5), as XML.

The standard wants the Patient ID in messages about instances. Nothing that this node writes
outside spool and results names a patient, so the participant says "withheld" and the Study
Instance UID leads to the patient in the PACS.
"""

import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

SUCCESS, MINOR_FAILURE, SERIOUS_FAILURE = 0, 4, 8  # PS3.15 table A.5.2-1, EventOutcomeIndicator

DESTINATION = ("110152", "Destination Role ID")
SOURCE = ("110153", "Source Role ID")
APPLICATION = ("110150", "Application")


@dataclass(frozen=True)
class Party:
    """One end of a transfer."""

    ae_title: str
    address: str = ""


def event_message(
    action: str, outcome: int, event: tuple[str, str], kind: tuple[str, str] | None = None
) -> ET.Element:
    """Begin a message about an event of the given kind (PS3.15 A.5.2)."""
    message = ET.Element("AuditMessage")
    identification = ET.SubElement(
        message,
        "EventIdentification",
        EventActionCode=action,
        EventDateTime=datetime.now(UTC).isoformat(timespec="milliseconds"),
        EventOutcomeIndicator=str(outcome),
    )
    add_code(identification, "EventID", event)
    if kind is not None:
        add_code(identification, "EventTypeCode", kind)
    return message


def add_participant(
    message: ET.Element, party: Party, role: tuple[str, str], *, is_requestor: bool
) -> None:
    """Say who took part."""
    values = {
        "UserID": party.ae_title or "unknown",
        "AlternativeUserID": f"AETITLES={party.ae_title}",
        "UserIsRequestor": str(is_requestor).lower(),
    }
    if party.address:
        values |= {"NetworkAccessPointID": party.address, "NetworkAccessPointTypeCode": "2"}
    add_code(ET.SubElement(message, "ActiveParticipant", values), "RoleIDCode", role)


def add_source(message: ET.Element, site: str) -> None:
    """Say which system wrote the message."""
    source = ET.SubElement(message, "AuditSourceIdentification", AuditSourceID=site)
    # 4: an application server process, of the table in PS3.15 A.5.2
    ET.SubElement(source, "AuditSourceTypeCode", {"csd-code": "4"})


def add_study(message: ET.Element, study_uid: str, counts: Mapping[str, int]) -> None:
    """Say which study it was about, with the number of instances of each SOP class."""
    study = ET.SubElement(
        message,
        "ParticipantObjectIdentification",
        ParticipantObjectID=study_uid,
        ParticipantObjectTypeCode="2",
        ParticipantObjectTypeCodeRole="3",
    )
    add_code(study, "ParticipantObjectIDTypeCode", ("110180", "Study Instance UID"))
    ET.SubElement(study, "ParticipantObjectName").text = "withheld"
    for sop_class_uid, number in sorted(counts.items()):
        ET.SubElement(study, "SOPClass", UID=sop_class_uid, NumberOfInstances=str(number))
    patient = ET.SubElement(
        message,
        "ParticipantObjectIdentification",
        ParticipantObjectID="withheld",
        ParticipantObjectTypeCode="1",
        ParticipantObjectTypeCodeRole="1",
    )
    ET.SubElement(
        patient,
        "ParticipantObjectIDTypeCode",
        {"csd-code": "2", "codeSystemName": "RFC-3881", "originalText": "Patient Number"},
    )


def add_code(parent: ET.Element, name: str, code: tuple[str, str]) -> None:
    """Add a code of DCM."""
    value, meaning = code
    attributes = {"csd-code": value, "codeSystemName": "DCM", "originalText": meaning}
    ET.SubElement(parent, name, attributes)
