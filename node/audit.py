"""The audit trail by PS3.15 A.5: who sent what to whom, who was refused, when the node ran.

Every message goes to a local file at once. With a repository configured it also waits, durably, in
a folder until `ship` has written it to syslog over TLS (RFC 5424, RFC 5425).

The standard wants the Patient ID in messages about instances. Nothing that this node writes
outside spool and results names a patient, so the participant says "withheld" and the Study
Instance UID leads to the patient in the PACS.
"""

import errno
import logging
import os
import socket
import ssl
import threading
import time
import xml.etree.ElementTree as ET
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from node.config import Audit, Storage, Tls
from node.disk import flush, make_folder
from node.tls import client_context

LOGGER = logging.getLogger(__name__)

SUCCESS, MINOR_FAILURE, SERIOUS_FAILURE = 0, 4, 8  # PS3.15 table A.5.2-1, EventOutcomeIndicator

_FACILITY_AUDIT_NOTICE = 13 * 8 + 5  # RFC 5424 section 6.2.1: log audit, notice
_ALERT_EVERY_S = 60.0
_MOST_ALERTS = 1000
_MOST_UNWRITTEN = 10_000
_RETRY_EVERY_S = 10.0
_TIMEOUT_S = 20.0

_DESTINATION = ("110152", "Destination Role ID")
_SOURCE = ("110153", "Source Role ID")
_APPLICATION = ("110150", "Application")


@dataclass(frozen=True)
class Party:
    """One end of a transfer."""

    ae_title: str
    address: str = ""


class _Message(NamedTuple):
    """One message that is to be written."""

    name: str
    text: str
    syslog: bytes


class AuditTrail:
    """Writes messages; safe in threads and in several processes at once.

    No method raises for what a disk refuses: the message waits in memory, as do those after it.
    """

    def __init__(self, settings: Audit, storage: Storage, *, ae_title: str) -> None:
        self._settings = settings
        self._node = Party(ae_title)
        self._folder = storage.directory / "audit"
        self._outgoing = self._folder / "outgoing"
        make_folder(self._outgoing)
        self._lock = threading.Lock()
        self._alerted_s: dict[tuple[Party, str], float] = {}
        self._unwritten: deque[_Message] = deque(maxlen=_MOST_UNWRITTEN)
        self._after_torn = ""

    def application_started(self) -> None:
        """Record that the node, or one of its processes, began (A.5.3.1)."""
        self._application("110120", "Application Start")

    def application_stopped(self) -> None:
        """Record that it ended in order."""
        self._application("110121", "Application Stop")

    def instances_received(
        self, sender: Party, study_uid: str, counts: Mapping[str, int], *, refused: int = 0
    ) -> None:
        """Record what one peer stored of one study: SOP class → number (A.5.3.7)."""
        outcome = MINOR_FAILURE if refused else SUCCESS
        self._transferred("C", outcome, (sender, self._node), study_uid, counts)

    def instances_sent(
        self, destination: Party, study_uid: str, counts: Mapping[str, int], *, failed: int = 0
    ) -> None:
        """Record what a destination took of one study (A.5.3.7)."""
        outcome = MINOR_FAILURE if failed else SUCCESS
        self._transferred("R", outcome, (self._node, destination), study_uid, counts)

    def begin_sending(self, destination: Party, study_uid: str, counts: Mapping[str, int]) -> None:
        """Record the intent to send (A.5.3.3), so that what was lost on the way can be seen."""
        message = _message("E", SUCCESS, ("110102", "Begin Transferring DICOM Instances"))
        self._exchange(message, (self._node, destination), study_uid, counts)

    def instances_accessed(self, study_uid: str, counts: Mapping[str, int]) -> None:
        """Record that the analysis read a study (A.5.3.6)."""
        message = _message("R", SUCCESS, ("110103", "DICOM Instances Accessed"))
        _participant(message, self._node, _APPLICATION, is_requestor=True)
        self._source(message)
        _study(message, study_uid, counts)
        self._write(message)

    def study_deleted(self, study_uid: str, counts: Mapping[str, int]) -> None:
        """Record that the images of a study were deleted here (A.5.3.8)."""
        message = _message("D", SUCCESS, ("110105", "DICOM Study Deleted"))
        _participant(message, self._node, _APPLICATION, is_requestor=True)
        self._source(message)
        _study(message, study_uid, counts)
        self._write(message)

    def security_alert(self, peer: Party, reason: str) -> None:
        """Record that somebody was not let in (A.5.3.11, node authentication).

        The same again within a minute is the same event: a flood shall not fill the disk.
        """
        if not self._is_new((peer, reason), time.monotonic()):
            return
        message = _message(
            "E", MINOR_FAILURE, ("110113", "Security Alert"), ("110126", "Node Authentication")
        )
        _participant(message, self._node, _APPLICATION, is_requestor=False)
        _participant(message, peer, _SOURCE, is_requestor=True)
        self._source(message)
        alert = ET.SubElement(
            message,
            "ParticipantObjectIdentification",
            ParticipantObjectID=peer.ae_title or peer.address,
            ParticipantObjectTypeCode="2",
            ParticipantObjectTypeCodeRole="13",
        )
        _code(alert, "ParticipantObjectIDTypeCode", ("110182", "Node ID"))
        ET.SubElement(alert, "ParticipantObjectDescription").text = reason
        self._write(message)

    def _is_new(self, alert: tuple[Party, str], now_s: float) -> bool:
        with self._lock:
            known = self._alerted_s
            if now_s - known.get(alert, -_ALERT_EVERY_S) < _ALERT_EVERY_S:
                return False
            if len(known) >= _MOST_ALERTS:
                known.clear()
            known[alert] = now_s
        return True

    def _application(self, code: str, meaning: str) -> None:
        message = _message("E", SUCCESS, ("110100", "Application Activity"), (code, meaning))
        _participant(message, self._node, _APPLICATION, is_requestor=False)
        self._source(message)
        self._write(message)

    def _transferred(
        self,
        action: str,
        outcome: int,
        parties: tuple[Party, Party],
        study_uid: str,
        counts: Mapping[str, int],
    ) -> None:
        message = _message(action, outcome, ("110104", "DICOM Instances Transferred"))
        self._exchange(message, parties, study_uid, counts)

    def _exchange(
        self,
        message: ET.Element,
        parties: tuple[Party, Party],
        study_uid: str,
        counts: Mapping[str, int],
    ) -> None:
        source, destination = parties
        _participant(message, source, _SOURCE, is_requestor=True)
        _participant(message, destination, _DESTINATION, is_requestor=False)
        self._source(message)
        _study(message, study_uid, counts)
        self._write(message)

    def _source(self, message: ET.Element) -> None:
        source = ET.SubElement(
            message, "AuditSourceIdentification", AuditSourceID=self._settings.site
        )
        # 4: an application server process, of the table in PS3.15 A.5.2
        ET.SubElement(source, "AuditSourceTypeCode", {"csd-code": "4"})

    def _write(self, message: ET.Element) -> None:
        text = ET.tostring(message, encoding="unicode")
        name = f"{time.time_ns():020d}-{os.getpid()}"
        with self._lock:
            self._unwritten.append(_Message(name, text, _syslog(text, self._settings.site)))
        self._write_waiting()

    def _write_waiting(self) -> None:
        """Write all messages in their order; what the disk refuses waits for the next try."""
        with self._lock:
            try:
                while self._unwritten:
                    self._keep(self._unwritten[0])
                    self._unwritten.popleft()
            except OSError as error:
                # Images and results count for more than what is written about them.
                LOGGER.error(  # noqa: TRY400  the origin says no more
                    "%d audit messages cannot be written yet: %s",
                    len(self._unwritten),
                    error.strerror,
                )

    def _keep(self, message: "_Message") -> None:
        """Bring a message to the disk, for the repository and for the log; may be repeated."""
        if self._settings.repository is not None:
            part = self._outgoing / f"{message.name}.part"
            part.write_bytes(message.syslog)
            flush(part)
            part.rename(part.with_suffix(".msg"))
            flush(self._outgoing)
        log = self._folder / "audit.log"
        is_new = not log.exists()
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            content = f"{self._after_torn}{message.text}\n".encode()
            # One write: lines of several processes do not mix.
            if os.write(descriptor, content) < len(content):
                self._after_torn = "\n"
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._after_torn = ""
            os.fdatasync(descriptor)
            if is_new:
                flush(self._folder)
        finally:
            os.close(descriptor)

    def ship(self) -> int:
        """Send what waits for the repository, the oldest first; return how much was sent.

        Raises
        ------
        OSError
            The repository is away; what was not sent stays.
        """
        waiting = sorted(self._outgoing.glob("*.msg"))
        host, tls = self._settings.repository, self._settings.tls
        if not waiting or host is None or tls is None:
            return 0
        with _connect(host, self._settings.port, tls) as stream:
            for file in waiting:
                content = file.read_bytes()
                stream.sendall(b"%d " % len(content) + content)  # RFC 5425 section 4.3
                file.unlink()
        return len(waiting)

    def ship_until(self, stop: threading.Event) -> None:
        """Keep sending until `stop` is set; a repository that is away is tried again and again.

        As is a disk that refused messages.
        """
        while not stop.wait(_RETRY_EVERY_S):
            self._write_waiting()
            try:
                self.ship()
            except OSError:
                continue


def _connect(host: str, port: int, tls: Tls) -> ssl.SSLSocket:
    plain = socket.create_connection((host, port), timeout=_TIMEOUT_S)
    try:
        return client_context(tls).wrap_socket(plain, server_hostname=host)
    except OSError:
        plain.close()
        raise


def _syslog(text: str, site: str) -> bytes:
    """Put a message into the frame of RFC 5424; PS3.15 A.6 asks for the message id."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    host = "".join(letter for letter in socket.gethostname() if "!" <= letter <= "~") or "-"
    process = f"{site.replace(' ', '_')[:48]} {os.getpid()}"
    head = f"<{_FACILITY_AUDIT_NOTICE}>1 {now} {host} {process} DICOM+RFC3881 - "
    return head.encode("ascii", "replace") + b"\xef\xbb\xbf" + text.encode()


def _message(
    action: str, outcome: int, event: tuple[str, str], kind: tuple[str, str] | None = None
) -> ET.Element:
    message = ET.Element("AuditMessage")
    identification = ET.SubElement(
        message,
        "EventIdentification",
        EventActionCode=action,
        EventDateTime=datetime.now(UTC).isoformat(timespec="milliseconds"),
        EventOutcomeIndicator=str(outcome),
    )
    _code(identification, "EventID", event)
    if kind is not None:
        _code(identification, "EventTypeCode", kind)
    return message


def _participant(
    message: ET.Element, party: Party, role: tuple[str, str], *, is_requestor: bool
) -> None:
    values = {
        "UserID": party.ae_title or "unknown",
        "AlternativeUserID": f"AETITLES={party.ae_title}",
        "UserIsRequestor": str(is_requestor).lower(),
    }
    if party.address:
        values |= {"NetworkAccessPointID": party.address, "NetworkAccessPointTypeCode": "2"}
    _code(ET.SubElement(message, "ActiveParticipant", values), "RoleIDCode", role)


def _study(message: ET.Element, study_uid: str, counts: Mapping[str, int]) -> None:
    study = ET.SubElement(
        message,
        "ParticipantObjectIdentification",
        ParticipantObjectID=study_uid,
        ParticipantObjectTypeCode="2",
        ParticipantObjectTypeCodeRole="3",
    )
    _code(study, "ParticipantObjectIDTypeCode", ("110180", "Study Instance UID"))
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


def _code(parent: ET.Element, name: str, code: tuple[str, str]) -> None:
    value, meaning = code
    attributes = {"csd-code": value, "codeSystemName": "DCM", "originalText": meaning}
    ET.SubElement(parent, name, attributes)
