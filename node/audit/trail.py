"""What is recorded: one method for each kind of event."""

import threading
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping

from node.audit.journal import Journal
from node.audit.messages import (
    APPLICATION,
    DESTINATION,
    MINOR_FAILURE,
    SOURCE,
    SUCCESS,
    Party,
    add_code,
    add_participant,
    add_source,
    add_study,
    event_message,
)
from node.config import Audit, Storage

_ALERT_EVERY_S = 60.0
_MOST_ALERTS = 1000
_RETRY_EVERY_S = 10.0


class AuditTrail:
    """Writes messages; safe in threads and in several processes at once.

    No method raises for what a disk refuses: the message waits in memory, as do those after it.
    """

    def __init__(self, settings: Audit, storage: Storage, *, ae_title: str) -> None:
        self._settings = settings
        self._node = Party(ae_title)
        self._journal = Journal(settings, storage.directory / "audit")
        self._lock = threading.Lock()
        self._alerted_s: dict[tuple[Party, str], float] = {}

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
        message = event_message("E", SUCCESS, ("110102", "Begin Transferring DICOM Instances"))
        self._exchange(message, (self._node, destination), study_uid, counts)

    def instances_accessed(self, study_uid: str, counts: Mapping[str, int]) -> None:
        """Record that the analysis read a study (A.5.3.6)."""
        message = event_message("R", SUCCESS, ("110103", "DICOM Instances Accessed"))
        add_participant(message, self._node, APPLICATION, is_requestor=True)
        add_source(message, self._settings.site)
        add_study(message, study_uid, counts)
        self._journal.write(message)

    def study_deleted(self, study_uid: str, counts: Mapping[str, int]) -> None:
        """Record that the images of a study were deleted here (A.5.3.8)."""
        message = event_message("D", SUCCESS, ("110105", "DICOM Study Deleted"))
        add_participant(message, self._node, APPLICATION, is_requestor=True)
        add_source(message, self._settings.site)
        add_study(message, study_uid, counts)
        self._journal.write(message)

    def security_alert(self, peer: Party, reason: str) -> None:
        """Record that somebody was not let in (A.5.3.11, node authentication).

        The same again within a minute is the same event: a flood shall not fill the disk.
        """
        if not self._is_new((peer, reason), time.monotonic()):
            return
        message = event_message(
            "E", MINOR_FAILURE, ("110113", "Security Alert"), ("110126", "Node Authentication")
        )
        add_participant(message, self._node, APPLICATION, is_requestor=False)
        add_participant(message, peer, SOURCE, is_requestor=True)
        add_source(message, self._settings.site)
        alert = ET.SubElement(
            message,
            "ParticipantObjectIdentification",
            ParticipantObjectID=peer.ae_title or peer.address,
            ParticipantObjectTypeCode="2",
            ParticipantObjectTypeCodeRole="13",
        )
        add_code(alert, "ParticipantObjectIDTypeCode", ("110182", "Node ID"))
        ET.SubElement(alert, "ParticipantObjectDescription").text = reason
        self._journal.write(message)

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
        message = event_message("E", SUCCESS, ("110100", "Application Activity"), (code, meaning))
        add_participant(message, self._node, APPLICATION, is_requestor=False)
        add_source(message, self._settings.site)
        self._journal.write(message)

    def _transferred(
        self,
        action: str,
        outcome: int,
        parties: tuple[Party, Party],
        study_uid: str,
        counts: Mapping[str, int],
    ) -> None:
        message = event_message(action, outcome, ("110104", "DICOM Instances Transferred"))
        self._exchange(message, parties, study_uid, counts)

    def _exchange(
        self,
        message: ET.Element,
        parties: tuple[Party, Party],
        study_uid: str,
        counts: Mapping[str, int],
    ) -> None:
        source, destination = parties
        add_participant(message, source, SOURCE, is_requestor=True)
        add_participant(message, destination, DESTINATION, is_requestor=False)
        add_source(message, self._settings.site)
        add_study(message, study_uid, counts)
        self._journal.write(message)

    def ship(self) -> int:
        """Send what waits for the repository; return how much was sent.

        Raises
        ------
        OSError
            The repository is away; what was not sent stays.
        """
        return self._journal.ship()

    def ship_until(self, stop: threading.Event) -> None:
        """Keep sending until `stop` is set; a repository that is away is tried again and again.

        As is a disk that refused messages.
        """
        while not stop.wait(_RETRY_EVERY_S):
            self._journal.write_waiting()
            try:
                self._journal.ship()
            except OSError:
                continue
