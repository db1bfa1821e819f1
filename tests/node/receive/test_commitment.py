"""Storage commitment: what a scanner is told, on its own association and on one of ours."""

import time

import pytest
import sqlalchemy as sa
from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage
from pynetdicom import AE, evt
from pynetdicom.sop_class import StorageCommitmentPushModel

from node.config import Receive, Sender
from node.index.commitments import COMMITMENT, CommitmentRequest, due_requests, postpone
from node.index.holdings import snapshot
from node.index.tables import reading
from node.receive.call_back import call_back, next_try_s
from node.receive.commitment import CommitmentDesk
from node.spool import Spool

TRANSACTION = "1.2.826.0.1.9"
INSTANCE = "1.2.840.10008.1.20.1.1"


class Scanner:
    """Sends instances, asks for commitment and collects the reports."""

    def __init__(self) -> None:
        self.reports: list[tuple[int, Dataset]] = []
        self.status = 0x0000

    def on_report(self, event) -> tuple[int, None]:
        self.reports.append((event.event_type, event.event_information))
        return self.status, None

    def associate(self, scp):
        entity = AE("SCANNER")
        entity.add_requested_context(MRImageStorage)
        entity.add_requested_context(StorageCommitmentPushModel)
        association = entity.associate(
            "127.0.0.1",
            scp.port,
            ae_title="PERFUSION",
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, self.on_report)],
        )
        assert association.is_established
        return association

    def ask(self, association, *uids: str, sop_class: str = MRImageStorage) -> int:
        request = Dataset()
        request.TransactionUID = TRANSACTION
        request.ReferencedSOPSequence = []
        for uid in uids:
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, uid
            request.ReferencedSOPSequence.append(item)
        status, _ = association.send_n_action(request, 1, StorageCommitmentPushModel, INSTANCE)
        return status.Status


def wait_until_told(index) -> None:
    for _ in range(400):
        with reading(index) as connection:
            if connection.execute(sa.select(COMMITMENT.c.told)).scalar_one():
                return
        time.sleep(0.05)
    pytest.fail("the report was not confirmed")


@pytest.fixture
def scanner():
    return Scanner()


@pytest.fixture
def ask(receiver, scanner, mr_instance, index):
    """Send instances 1 and 2, ask about some on the same association; return the report."""

    def call(*uids: str, before=lambda: None, sop_class: str = MRImageStorage):
        association = scanner.associate(receiver())
        sent = [mr_instance(number) for number in (1, 2)]
        for dataset in sent:
            assert association.send_c_store(dataset).Status == 0x0000
        before()
        asked = uids or [dataset.SOPInstanceUID for dataset in sent]
        assert scanner.ask(association, *asked, sop_class=sop_class) == 0x0000
        wait_until_told(index)  # pynetdicom must have answered before it may release
        association.release()
        return scanner.reports[0]

    return call


def failures(report: Dataset) -> dict[str, int]:
    return {
        item.ReferencedSOPInstanceUID: item.FailureReason
        for item in report.get("FailedSOPSequence", [])
    }


def test_what_is_safe_is_said_to_be_safe(ask):
    event_type, report = ask()
    assert event_type == 1
    assert report.TransactionUID == TRANSACTION
    assert len(report.ReferencedSOPSequence) == 2
    assert failures(report) == {}


def test_what_never_came_is_not_promised(ask):
    event_type, report = ask("1.2.826.0.1.1.7.1", "1.2.3.4.5")
    assert event_type == 2
    assert failures(report) == {"1.2.3.4.5": 0x0112}
    assert len(report.ReferencedSOPSequence) == 1


def test_another_sop_class_is_a_conflict(ask):
    _, report = ask("1.2.826.0.1.1.7.1", sop_class="1.2.840.10008.5.1.4.1.1.2")
    assert failures(report) == {"1.2.826.0.1.1.7.1": 0x0119}


@pytest.mark.parametrize("damage", ["one bit", "gone", "cut"])
def test_a_damaged_file_is_not_promised_whatever_the_index_says(ask, index, storage, damage):
    def harm() -> None:
        row = snapshot(index, "1.2.826.0.1.1", 1)[0]
        file = Spool.open(storage).path(row.file)
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        if damage == "gone":
            file.unlink()
        else:
            file.write_bytes(bytes(content) if damage == "one bit" else content[:-40])

    _, report = ask(before=harm)
    assert failures(report) == {"1.2.826.0.1.1.7.1": 0x0110}


def test_a_long_request_is_answered_in_pieces_that_the_peer_takes(ask):
    _, report = ask(*(f"1.2.826.0.1.1.7.{number}" for number in range(1, 401)))
    assert len(failures(report)) == 398


def test_a_request_that_cannot_be_read_is_refused_and_the_association_lives(receiver, scanner):
    association = scanner.associate(receiver())
    broken = Dataset()
    broken.TransactionUID = TRANSACTION
    status, _ = association.send_n_action(broken, 1, StorageCommitmentPushModel, INSTANCE)
    assert status.Status == 0x0115
    status, _ = association.send_n_action(broken, 7, StorageCommitmentPushModel, INSTANCE)
    assert status.Status == 0x0123
    association.release()


@pytest.fixture
def listening(scanner):
    """The scanner as a listener, to be called back; gives its port."""
    entity = AE("SCANNER")
    entity.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    server = entity.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_N_EVENT_REPORT, scanner.on_report)]
    )
    yield server.server_address[1]
    server.shutdown()


@pytest.fixture
def asked(receiver, scanner, listening, index, storage, mr_instance):
    """A scanner with an address has asked; gives what calls it back at a time, and its request."""
    settings = Receive(
        senders=(Sender(ae_title="SCANNER", host="127.0.0.1", port=listening),),
        negotiation_timeout_s=5.0,
    )
    association = scanner.associate(receiver(senders=settings.senders))
    assert association.send_c_store(mr_instance(1)).Status == 0x0000
    assert scanner.ask(association, "1.2.826.0.1.1.7.1") == 0x0000
    association.release()
    assert not scanner.reports
    spool = Spool.open(storage)
    desk = CommitmentDesk(spool, index, settings)
    (request,) = due_requests(index, 1e12)
    yield lambda now_s: call_back(desk, index, settings, now_s=now_s), request
    spool.close()


def test_a_scanner_with_an_address_is_called_back_until_it_confirms(asked, scanner, index):
    call_at, request = asked
    scanner.status = 0x0110
    call_at(request.received_s)
    assert due_requests(index, request.received_s + 1.0) == ()
    (again,) = due_requests(index, request.received_s + 100.0)
    scanner.status = 0x0000
    call_at(request.received_s + 100.0)
    assert due_requests(index, 1e12) == ()
    assert again.attempts == 1
    assert [event_type for event_type, _ in scanner.reports] == [1, 1]


def test_a_report_that_waits_for_a_time_far_away_goes_when_the_clock_is_set_right(
    asked, scanner, index
):
    call_at, request = asked
    postpone(index, request, request.received_s + 10 * 86400.0)
    call_at(request.received_s)
    assert [event_type for event_type, _ in scanner.reports] == [1]
    assert due_requests(index, 1e12) == ()


def test_a_scanner_that_is_away_is_tried_for_days_and_not_for_ever():
    request = CommitmentRequest(
        transaction_uid="1.2", calling_ae="X", instances=(), received_s=0.0, attempts=0
    )
    assert next_try_s(request, 10.0) == 25.0
    late = CommitmentRequest(
        transaction_uid="1.2", calling_ae="X", instances=(), received_s=0.0, attempts=500
    )
    assert next_try_s(late, 10.0) == 3610.0
    assert next_try_s(late, 5 * 86400.0) is None
