"""The audit trail: what a reader of PS3.15 A.5 finds, on the disk and at a repository."""

import os
import re
import socket
import ssl
import threading
import xml.etree.ElementTree as ET

import pytest

from node.audit import AuditTrail, Party
from node.config import Audit, Storage, Tls
from node.tls import server_context
from tests.certificates import tls
from tests.raw_sender import SUCCESS, RawSender, ReceiverProcess, mr_data_set

MR = "1.2.840.10008.5.1.4.1.1.4"
SCANNER, PACS = Party("SCANNER", "10.0.0.1"), Party("PACS", "10.0.0.2")


@pytest.fixture
def storage(tmp_path) -> Storage:
    return Storage(directory=tmp_path)


@pytest.fixture
def trail(storage) -> AuditTrail:
    return AuditTrail(Audit(site="cardiac"), storage, ae_title="PERFUSION")


def messages(storage) -> list[ET.Element]:
    lines = (storage.directory / "audit" / "audit.log").read_text().splitlines()
    return [ET.fromstring(line) for line in lines]  # noqa: S314  what was just written here


def code(message: ET.Element, path: str) -> str | None:
    found = message.find(path)
    return None if found is None else found.get("csd-code")


def test_every_kind_of_event_has_its_code_and_its_parties(trail, storage):
    trail.application_started()
    trail.instances_received(SCANNER, "1.2.3", {MR: 60})
    trail.instances_accessed("1.2.3", {MR: 60})
    trail.begin_sending(PACS, "1.2.3", {MR: 3})
    trail.instances_sent(PACS, "1.2.3", {MR: 2}, failed=1)
    trail.security_alert(Party("EVIL", "10.9.9.9"), "calling AE title not recognized")
    trail.application_stopped()
    found = messages(storage)
    assert [code(message, "EventIdentification/EventID") for message in found] == [
        "110100",
        "110104",
        "110103",
        "110102",
        "110104",
        "110113",
        "110100",
    ]
    assert code(found[0], "EventIdentification/EventTypeCode") == "110120"
    assert code(found[-1], "EventIdentification/EventTypeCode") == "110121"
    outcomes = [m.find("EventIdentification").get("EventOutcomeIndicator") for m in found]
    assert outcomes == ["0", "0", "0", "0", "4", "4", "0"]
    assert all(m.find("AuditSourceIdentification").get("AuditSourceID") == "cardiac" for m in found)


def test_a_transfer_names_source_destination_study_and_numbers(trail, storage):
    trail.instances_received(SCANNER, "1.2.3", {MR: 60})
    (message,) = messages(storage)
    parties = {
        code(party, "RoleIDCode"): (party.get("UserID"), party.get("NetworkAccessPointID"))
        for party in message.findall("ActiveParticipant")
    }
    assert parties == {"110153": ("SCANNER", "10.0.0.1"), "110152": ("PERFUSION", None)}
    study, patient = message.findall("ParticipantObjectIdentification")
    assert study.get("ParticipantObjectID") == "1.2.3"
    assert study.find("SOPClass").attrib == {"UID": MR, "NumberOfInstances": "60"}
    assert patient.get("ParticipantObjectID") == "withheld"


def test_a_flood_of_the_same_alert_is_one_event(trail, storage):
    for _ in range(500):
        trail.security_alert(SCANNER, "calling AE title not recognized")
    trail.security_alert(PACS, "calling AE title not recognized")
    assert len(messages(storage)) == 2


def test_text_from_a_stranger_cannot_break_the_form(trail, storage):
    trail.security_alert(Party('E"V<I>L&', "10.9.9.9"), "calling AE title not recognized")
    (message,) = messages(storage)
    assert message.findall("ActiveParticipant")[1].get("UserID") == 'E"V<I>L&'


def test_lines_of_many_threads_do_not_mix(trail, storage):
    threads = [
        threading.Thread(target=trail.instances_received, args=(SCANNER, f"1.2.{n}", {MR: n}))
        for n in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(messages(storage)) == 20


def test_messages_wait_for_a_repository_that_is_away_and_arrive_in_order(storage, certificates):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    settings = Audit(repository="127.0.0.1", port=port, tls=Tls(**tls(certificates, "known")))
    trail = AuditTrail(settings, storage, ae_title="PERFUSION")
    trail.application_started()
    trail.instances_received(SCANNER, "1.2.3", {MR: 1})
    with pytest.raises(OSError, match="refused"):
        trail.ship()
    repository = Repository(certificates, "known", port)
    # A new process finds what the last one left.
    again = AuditTrail(settings, storage, ae_title="PERFUSION")
    assert again.ship() == 2
    repository.close()
    received = repository.heard
    first_length = int(received.split(b" ", 1)[0])
    first = received.split(b" ", 1)[1][:first_length]
    assert re.match(rb"<109>1 \d{4}-\d\d-\d\dT[0-9:.]+Z \S+ \S+ \d+ DICOM\+RFC3881 - ", first)
    assert b"110120" in first
    assert received.count(b"</AuditMessage>") == 2
    assert again.ship() == 0


def test_only_whole_messages_are_shipped(storage, certificates):
    settings = Audit(repository="127.0.0.1", port=9, tls=Tls(**tls(certificates, "known")))
    trail = AuditTrail(settings, storage, ae_title="PERFUSION")
    (storage.directory / "audit" / "outgoing" / "0-1.part").write_bytes(b"torn")
    assert trail.ship() == 0


@pytest.fixture
def log_refused(storage):
    """Put something in the place of the log that no message can be written to; gives its path."""
    log = storage.directory / "audit" / "audit.log"
    log.mkdir(parents=True)
    return log


def test_what_the_disk_refuses_is_written_later_in_its_order(trail, storage, log_refused, caplog):
    trail.application_started()
    trail.instances_received(SCANNER, "1.2.3", {MR: 1})
    assert "2 audit messages cannot be written yet" in caplog.text
    log_refused.rmdir()
    trail.application_stopped()
    assert [code(message, "EventIdentification/EventID") for message in messages(storage)] == [
        "110100",
        "110104",
        "110100",
    ]


def test_a_message_that_was_torn_by_a_full_disk_stands_whole_on_a_line_of_its_own(
    trail, storage, monkeypatch
):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, content: write(descriptor, content[:40]))
    trail.application_started()
    monkeypatch.undo()
    trail.application_stopped()
    torn, *whole = (storage.directory / "audit" / "audit.log").read_text().splitlines()
    assert len(torn) == 40
    assert ["110120" in line or "110121" in line for line in whole] == [True, True]
    assert all(line.endswith("</AuditMessage>") for line in whole)


def test_a_receiver_takes_images_though_nothing_can_be_written_about_them(tmp_path):
    receiver = ReceiverProcess(tmp_path)
    (receiver.storage / "audit" / "audit.log").mkdir(parents=True)
    receiver.start()
    try:
        with RawSender(receiver.port) as sender:
            assert sender.store(*mr_data_set("1.2.826", "1.2.826.1", 1)) == SUCCESS
            sender.release()
    finally:
        receiver.stop()
    assert receiver.process.returncode == 0


class Repository:
    """A syslog repository over TLS that keeps what it hears."""

    def __init__(self, certificates, name, port=0) -> None:
        self._context = server_context(Tls(**tls(certificates, name)))
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        self.heard = b""
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        plain, _ = self._listener.accept()
        try:
            with self._context.wrap_socket(plain, server_side=True) as stream:
                while part := stream.recv(65536):
                    self.heard += part
        except OSError:
            plain.close()

    def close(self) -> None:
        self._thread.join(timeout=10)
        self._listener.close()


@pytest.fixture
def ship_to(storage, certificates):
    """Ship two messages to a repository; returns what it heard."""

    def ship(repository_is, node_is="known") -> bytes:
        repository = Repository(certificates, repository_is)
        settings = Audit(
            repository="127.0.0.1", port=repository.port, tls=Tls(**tls(certificates, node_is))
        )
        trail = AuditTrail(settings, storage, ae_title="PERFUSION")
        trail.application_started()
        trail.study_deleted("1.2.3", {MR: 7})
        try:
            trail.ship()
        finally:
            repository.close()
        return repository.heard

    return ship


def test_messages_go_to_a_repository_over_tls(ship_to, storage):
    heard = ship_to("known")
    assert heard.count(b"</AuditMessage>") == 2
    assert b"110105" in heard
    assert list((storage.directory / "audit" / "outgoing").iterdir()) == []


def test_a_repository_whose_certificate_is_unknown_hears_nothing(ship_to, storage):
    with pytest.raises(ssl.SSLError):
        ship_to("stranger")
    assert len(list((storage.directory / "audit" / "outgoing").glob("*.msg"))) == 2
