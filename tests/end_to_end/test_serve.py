"""The node as processes: what a scanner sends comes back as results, once, whatever is killed."""

import sqlite3
import time

import pytest
from pynetdicom import AE, build_role
from pynetdicom.sop_class import StorageCommitmentPushModel

from tests.peers import Node, destination, send, study_of, wait_for

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket")


def test_a_study_goes_in_and_its_results_arrive_once(node, pacs):
    node.start().wait_until_ready()
    send(node.port, study_of(12, seed="whole"))
    wait_for(lambda: len(pacs.stored) == 3, "three results")
    assert set(pacs.comments.values()) == {"12 images"}
    assert node.stop() == 0
    assert set(pacs.stored.values()) == {1}


def test_nothing_is_lost_or_doubled_when_every_process_is_killed(node, pacs):
    node.environment["ANALYSIS_SECONDS"] = "1.5"
    node.start().wait_until_ready()
    images = study_of(200, seed="killed")
    send(node.port, images[:80])
    node.kill("receiver")
    send(node.port, images[80:140])
    node.kill()
    node.start()
    send(node.port, images[140:])
    wait_for(lambda: node.said("200 images"), "the analysis begins")
    node.kill("worker")
    wait_for(lambda: len(pacs.stored) == 3, "three results")
    assert set(pacs.comments.values()) == {"200 images"}
    assert set(pacs.stored.values()) == {1}


def test_a_slow_pacs_is_sent_everything_once(node, pacs):
    def take_your_time(_):
        time.sleep(1.2)
        return 0x0000

    pacs.answer = take_your_time
    node.start().wait_until_ready()
    send(node.port, study_of(4, seed="slow"))
    wait_for(lambda: len(pacs.stored) == 3, "three results")
    time.sleep(3)  # as long as a second attempt would need to show
    assert set(pacs.offered.values()) == {1}


def test_no_patient_turns_up_outside_spool_and_results(node, pacs):
    node.start().wait_until_ready()
    send(node.port, study_of(4, seed="marked"))
    wait_for(lambda: len(pacs.stored) == 3, "three results")
    node.stop()
    state = node.folder / "state"
    written = [path for path in node.folder.rglob("*") if path.is_file()]
    spool, results = state / "spool", state / "results"
    searched = [path for path in written if not {spool, results} & set(path.parents)]
    assert any(path.name == "index.sqlite" for path in searched)
    for path in searched:
        content = path.read_bytes()
        assert b"Markedname" not in content, path.name
        assert b"MARKEDID" not in content, path.name


def report_to(node, pacs, request) -> int:
    """Report about storage commitment on an association of the PACS's own; returns the status."""
    entity = AE("PACS")
    entity.add_requested_context(StorageCommitmentPushModel)
    role = build_role(StorageCommitmentPushModel, scp_role=True)
    association = entity.associate("127.0.0.1", node.port, ae_title="PERFUSION", ext_neg=[role])
    assert association.is_established
    status, _ = association.send_n_event_report(
        pacs.report_on(request), 1, StorageCommitmentPushModel, "1.2.840.10008.1.20.1.1"
    )
    association.release()
    return status.Status


def test_a_commitment_that_comes_after_everything_was_killed_is_heard(tmp_path, pacs):
    node = Node(
        tmp_path,
        delivery={
            "destinations": [destination(pacs, confirm="commitment")],
            "first_retry_s": 0.5,
            "confirm_after_s": 0.2,
        },
    )
    pacs.reports = False
    node.start().wait_until_ready()
    try:
        send(node.port, study_of(5, seed="commitment"))
        wait_for(lambda: pacs.asked, "the PACS is asked")
        for process in (None, "receiver", "worker"):
            node.kill(process)
        before = node.log.read_text()
        node.start()
        wait_for(lambda: "the worker is ready" in node.log.read_text()[len(before) :], "ready")
        (request,) = pacs.asked
        assert report_to(node, pacs, request) == 0x0000
        wait_for(lambda: confirmations(node) == ["confirmed"] * 3, "three confirmed results")
        assert len(pacs.asked) == 1
        assert set(pacs.offered.values()) == {1}
    finally:
        node.stop()


def confirmations(node) -> list[str]:
    connection = sqlite3.connect(node.folder / "state" / "index.sqlite")
    rows = connection.execute("SELECT confirmation FROM delivery").fetchall()
    connection.close()
    return [row[0] for row in rows]


def test_a_delivered_study_is_deleted_and_sends_nothing_twice_when_it_comes_again(tmp_path, pacs):
    days = 2.0 / 86400
    node = Node(
        tmp_path,
        storage={"directory": str(tmp_path / "state"), "delete_after_days": days},
        delivery={"destinations": [destination(pacs)], "first_retry_s": 0.5},
    )
    node.start().wait_until_ready()
    images = study_of(4, seed="deleted")
    try:
        send(node.port, images)
        wait_for(lambda: len(pacs.stored) == 3, "three results")
        wait_for(lambda: node.said("revision 1: done"), "the end of the analysis")
        node.stop()
        time.sleep(3)  # until the study is old enough; a worker looks at its start
        node.start()
        wait_for(lambda: node.said("4 images and their results deleted"), "the deletion")
        assert list((tmp_path / "state" / "spool").rglob("*.dcm")) == []
        send(node.port, images)
        wait_for(lambda: node.said("revision 2: done"), "the second analysis")
        time.sleep(2)  # as long as a second delivery would need to show
        assert set(pacs.offered.values()) == {1}
    finally:
        node.stop()
