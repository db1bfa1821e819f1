"""Peers that stall, trickle, lie or flood, while a real sender goes on."""

import contextlib
import socket
import struct
import threading
import time

import pytest
from pydicom.uid import MRImageStorage
from pynetdicom import AE
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)
from pynetdicom.presentation import build_context

from node.index.holdings import study_arrivals
from tests.receiving import files_of

STUDY = "1.2.826.0.1.1"
ACCEPTED, REJECTED, ABORTED = 2, 3, 7


@pytest.fixture
def connect():
    """Open raw connections; they are closed at the end."""
    with contextlib.ExitStack() as stack:

        def call(scp) -> socket.socket:
            stream = socket.create_connection(("127.0.0.1", scp.port), timeout=20)
            return stack.enter_context(stream)

        yield call


def request_pdu(calling: str = "SCANNER") -> bytes:
    """Encode an association request for MR images."""
    context = build_context(MRImageStorage, "1.2.840.10008.1.2.1")
    context.context_id = 1
    request = A_ASSOCIATE()
    request.application_context_name = "1.2.840.10008.3.1.1.1"
    request.calling_ae_title, request.called_ae_title = calling, "PERFUSION"
    request.presentation_context_definition_list = [context]
    longest, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    longest.maximum_length_received = 16384
    implementation.implementation_class_uid = "1.2.3"
    request.user_information = [longest, implementation]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(request)
    return pdu.encode()


def read_pdu(stream: socket.socket) -> tuple[int, bytes]:
    """Read one PDU; (0, b"") where the peer has closed."""
    header = b""
    while len(header) < 6:
        part = stream.recv(6 - len(header))
        if not part:
            return 0, b""
        header += part
    length = int.from_bytes(header[2:], "big")
    body = b""
    while len(body) < length:
        part = stream.recv(length - len(body))
        if not part:
            return 0, b""
        body += part
    return header[0], body


def send_one(scp, dataset) -> int:
    """Send one instance as a real sender does; return the status."""
    entity = AE("SCANNER")
    entity.add_requested_context(MRImageStorage)
    association = entity.associate("127.0.0.1", scp.port, ae_title="PERFUSION")
    assert association.is_established
    status = association.send_c_store(dataset).Status
    association.release()
    return status


@pytest.mark.parametrize(
    "first_bytes",
    [
        b"",  # says nothing at all
        struct.pack(">BBL", 1, 0, 200) + b"\0" * 10,  # stops in the middle of its request
        struct.pack(">BBL", 1, 0, 0xFFFFFFF0),  # announces four gigabytes
        b"GET / HTTP/1.1\r\nHost: node\r\n\r\n",  # is no DICOM
        struct.pack(">BBL", 4, 0, 20) + b"\0" * 20,  # sends data without an association
        struct.pack(">BBL", 1, 0, 80) + b"\xff" * 80,  # a request that cannot be decoded
    ],
)
def test_a_flood_of_peers_that_never_associate_does_not_keep_a_sender_out(
    receiver, connect, mr_instance, first_bytes
):
    scp = receiver(negotiation_timeout_s=30.0, maximum_associations=2)
    for _ in range(100):
        # A peer that is refused may see its connection broken while it still sends.
        with contextlib.suppress(ConnectionError):
            connect(scp).sendall(first_bytes)
    assert send_one(scp, mr_instance(1)) == 0x0000


def test_a_peer_that_stops_in_its_request_is_dropped(receiver, connect):
    stream = connect(receiver(negotiation_timeout_s=0.3))
    # On a busy machine the time may be over before we have sent: then the end looks like this.
    with contextlib.suppress(ConnectionError):
        stream.sendall(request_pdu()[:50])
        assert stream.recv(1) == b""


def test_a_peer_that_trickles_its_request_is_dropped(receiver, connect):
    stream = connect(receiver(negotiation_timeout_s=0.5))
    whole = request_pdu()
    with contextlib.suppress(ConnectionError):  # this is how the end looks to one who sends
        for position in range(len(whole)):
            stream.sendall(whole[position : position + 1])
            time.sleep(0.05)
        pytest.fail("it could trickle to its end")


def test_an_association_that_stays_silent_is_aborted(receiver, connect):
    stream = connect(receiver(network_timeout_s=0.3))
    stream.sendall(request_pdu())
    assert read_pdu(stream)[0] == ACCEPTED
    assert read_pdu(stream)[0] == ABORTED


def test_an_oversized_pdu_in_an_association_is_aborted_unread(receiver, connect):
    stream = connect(receiver())
    stream.sendall(request_pdu())
    assert read_pdu(stream)[0] == ACCEPTED
    stream.sendall(struct.pack(">BBL", 4, 0, 0x7FFFFFFF))
    assert read_pdu(stream)[0] == ABORTED


@pytest.mark.parametrize(
    "pdu",
    [
        struct.pack(">BBL", 4, 0, 5) + b"\0\0\0\0\1",  # a PDV without its header
        struct.pack(">BBL", 4, 0, 6) + struct.pack(">IBB", 99, 1, 3),  # longer than its PDU
        struct.pack(">BBL", 4, 0, 6) + struct.pack(">IBB", 2, 1, 2),  # data without a command
        struct.pack(">BBL", 4, 0, 10) + struct.pack(">IBB", 6, 99, 3) + b"\0" * 4,  # no context
        struct.pack(">BBL", 4, 0, 10) + struct.pack(">IBB", 6, 1, 3) + b"\0" * 4,  # no command
        struct.pack(">BBL", 2, 0, 4) + b"\0" * 4,  # an acceptance of what nobody asked
        struct.pack(">BBL", 9, 0, 4) + b"\0" * 4,  # no PDU at all
    ],
)
def test_nonsense_in_an_association_is_aborted_and_the_next_peer_served(
    receiver, connect, mr_instance, pdu
):
    scp = receiver()
    stream = connect(scp)
    stream.sendall(request_pdu())
    assert read_pdu(stream)[0] == ACCEPTED
    stream.sendall(pdu)
    assert read_pdu(stream)[0] == ABORTED
    assert send_one(scp, mr_instance(1)) == 0x0000


def test_a_peer_that_vanishes_in_the_middle_of_an_instance_leaves_nothing(
    receiver, connect, storage, index
):
    stream = connect(receiver())
    stream.sendall(request_pdu())
    assert read_pdu(stream)[0] == ACCEPTED
    fields = b"".join(
        struct.pack("<HHI", 0, element, len(value)) + value
        for element, value in (
            (0x0002, b"1.2.840.10008.5.1.4.1.1.4\0"),
            (0x0100, b"\1\0"),
            (0x0110, b"\1\0"),
            (0x0800, b"\0\0"),
            (0x1000, b"1.2.3.4\0"),
        )
    )
    for control, value in ((3, fields), (0, b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100")):
        pdv = struct.pack(">IBB", len(value) + 2, 1, control) + value
        stream.sendall(struct.pack(">BBL", 4, 0, len(pdv)) + pdv)
    stream.close()
    for _ in range(100):
        if not any(storage.directory.rglob("*.part")):
            break
        time.sleep(0.05)
    assert study_arrivals(index, STUDY) is None
    assert files_of(storage.directory) == []


def test_more_associations_than_allowed_are_rejected_as_transient(receiver, connect):
    scp = receiver(maximum_associations=3)
    streams = [connect(scp) for _ in range(4)]
    answers = []
    for stream in streams:
        stream.sendall(request_pdu())
        answers.append(read_pdu(stream))
    assert [kind for kind, _ in answers] == [ACCEPTED] * 3 + [REJECTED]
    assert answers[-1][1] == b"\0\2\3\2"  # transient, presentation, local limit exceeded


def test_one_address_cannot_take_all_associations(receiver, connect):
    scp = receiver(maximum_associations=30, maximum_associations_per_address=2)
    kinds = []
    for _ in range(3):
        stream = connect(scp)
        stream.sendall(request_pdu())
        kinds.append(read_pdu(stream)[0])
    assert kinds == [ACCEPTED, ACCEPTED, REJECTED]


def test_an_association_that_ends_makes_room_for_the_next(receiver, connect, mr_instance):
    scp = receiver(maximum_associations=1)
    for number in range(1, 4):
        for _ in range(100):  # the end of the last one is seen a moment later
            entity = AE("SCANNER")
            entity.add_requested_context(MRImageStorage)
            association = entity.associate("127.0.0.1", scp.port, ae_title="PERFUSION")
            if association.is_established:
                break
            time.sleep(0.05)
        assert association.send_c_store(mr_instance(number)).Status == 0x0000
        association.release()
    assert connect(scp).fileno() >= 0


def test_a_title_with_control_characters_writes_no_line_of_its_own(receiver, connect, caplog):
    scp = receiver(calling_ae_titles=("SCANNER",))
    request = bytearray(request_pdu("EVIL"))
    request[request.index(b"EVIL") : request.index(b"EVIL") + 6] = b"EV\nIL\n"
    stream = connect(scp)
    stream.sendall(bytes(request))
    kind, _ = read_pdu(stream)
    assert kind in (REJECTED, 0)
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("node")]
    assert not any("\n" in message for message in ours)


def test_stopping_ends_idle_associations_at_once(receiver, connect):
    scp = receiver()
    stream = connect(scp)
    stream.sendall(request_pdu())
    assert read_pdu(stream)[0] == ACCEPTED
    scp.stop()
    assert read_pdu(stream)[0] == ABORTED


def test_a_system_without_a_thread_to_give_loses_one_peer_and_serves_the_next(
    receiver, connect, mr_instance, monkeypatch
):
    scp = receiver()
    whole = threading.Thread.start
    with monkeypatch.context() as scarce:

        def start(thread):
            if getattr(thread._target, "__self__", None) is scp:
                raise RuntimeError("can't start new thread")
            whole(thread)

        scarce.setattr(threading.Thread, "start", start)
        with contextlib.suppress(ConnectionError):
            assert connect(scp).recv(1) == b""
    assert send_one(scp, mr_instance(1)) == 0x0000
