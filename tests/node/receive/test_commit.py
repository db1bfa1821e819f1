"""Images that share a transaction: what one of them brings is not the others' fault."""

import threading
import time
from collections import Counter
from collections.abc import Callable

import pytest
import sqlalchemy as sa

from node.config import Storage
from node.index.arrivals import Arrival, Outcome
from node.index.holdings import known_files, snapshot
from node.index.recorder import Recorder
from node.index.tables import open_index
from node.receive.commit import Committer, RefusedValueError
from node.receive.recover import recover
from node.spool import Spool
from tests.raw_sender import SUCCESS, RawSender, mr_data_set

STUDY = "1.2.826.0.1.8"
INNOCENT = [f"{STUDY}.1.{number}" for number in range(1, 7)]
GUILTY = f"{STUDY}.1.13"
CANNOT_UNDERSTAND = 0xC000


@pytest.fixture
def committer(spool, index):
    made = Committer(spool, index)
    yield made
    made.close()


def refuse_the_guilty(index) -> None:
    """Let the database refuse one instance, and only that."""
    with index.begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER refuse BEFORE INSERT ON instance WHEN "
            f"NEW.sop_instance_uid = '{GUILTY}' BEGIN SELECT RAISE(ABORT, 'no'); END"
        )


def sealed(spool: Spool, uid: str, **values: object) -> Arrival:
    """One instance as it is when its turn to be committed comes."""
    file = spool.begin()
    file.write_whole(memoryview(uid.encode()))
    of_all = {
        "sop_instance_uid": uid,
        "study_uid": STUDY,
        "series_uid": f"{STUDY}.1",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.4",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "file": file.relative,
        "size_bytes": len(uid),
        "sha256": uid,
        "modality": "MR",
        "expected_images": None,
        "calling_ae": "SCANNER",
        "received_s": 100.0,
    }
    return Arrival(**of_all | values)


@pytest.fixture
def commit_together(committer, spool, monkeypatch) -> Callable[..., dict[str, object]]:
    """Commit an image of its own, and then these in one transaction; gives what each was told."""

    def call(wishes: list[Arrival]) -> dict[str, object]:
        told: dict[str, object] = {}
        sizes, free, ordinary = [], threading.Event(), Recorder.record

        def slow(recorder, arrivals):
            sizes.append(len(arrivals))
            free.wait(30)
            return ordinary(recorder, arrivals)

        def commit(arrival):
            try:
                told[arrival.sop_instance_uid] = committer.commit(arrival)
            except Exception as error:  # noqa: BLE001  looked at by the test
                told[arrival.sop_instance_uid] = error

        monkeypatch.setattr(Recorder, "record", slow)
        threads = []
        for number, wish in enumerate([sealed(spool, f"{STUDY}.1.1000"), *wishes]):
            threads.append(threading.Thread(target=commit, args=(wish,)))
            threads[-1].start()
            while not sizes or len(committer._waiting) < number:
                time.sleep(0.001)
        free.set()
        for thread in threads:
            thread.join(30)
        monkeypatch.setattr(Recorder, "record", ordinary)
        assert sizes[0] == 1
        assert max(sizes) >= len(wishes) - 1  # they did share a transaction
        assert told.pop(f"{STUDY}.1.1000") is Outcome.NEW
        return told

    return call


def assert_only_the_innocent_are_kept(spool, index) -> None:
    rows = snapshot(index, STUDY, 1)
    assert {row.sop_instance_uid for row in rows} == {*INNOCENT, f"{STUDY}.1.1000"}
    assert {row.file for row in rows} == set(spool.placed())
    assert all(spool.path(row.file).read_text() == row.sha256 for row in rows)


def test_an_image_that_the_database_refuses_fails_no_other(
    commit_together, spool, index, committer
):
    refuse_the_guilty(index)
    told = commit_together([sealed(spool, uid) for uid in (*INNOCENT[:3], GUILTY, *INNOCENT[3:])])
    assert isinstance(told.pop(GUILTY), RefusedValueError)
    assert told == dict.fromkeys(INNOCENT, Outcome.NEW)
    assert_only_the_innocent_are_kept(spool, index)
    committer.check()  # nothing waits for a better time


def test_a_value_that_the_driver_cannot_bind_fails_no_other_and_leaves_no_lock(
    commit_together, spool, index
):
    guilty = sealed(spool, GUILTY, expected_images=2**70)
    told = commit_together([guilty, *(sealed(spool, uid) for uid in INNOCENT)])
    assert isinstance(told.pop(GUILTY), RefusedValueError)
    assert told == dict.fromkeys(INNOCENT, Outcome.NEW)
    assert_only_the_innocent_are_kept(spool, index)


def test_a_single_value_that_the_driver_cannot_bind_leaves_no_lock(committer, spool, index):
    with pytest.raises(RefusedValueError):
        committer.commit(sealed(spool, GUILTY, expected_images=2**70))
    with index.begin() as connection:  # which waits for the lock of any other
        connection.exec_driver_sql("DELETE FROM study")
    assert list(spool.placed()) == []


def test_one_that_is_refused_does_not_hold_up_those_that_waited_for_the_index_with_it(
    committer, spool, index, monkeypatch
):
    refuse_the_guilty(index)

    def away(*_):
        raise sa.exc.OperationalError("", {}, Exception("away"))

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "record", away)
        for uid in (GUILTY, *INNOCENT):
            with pytest.raises(sa.exc.OperationalError):
                committer.commit(sealed(spool, uid))
        with pytest.raises(sa.exc.OperationalError):
            committer.check()
    assert len(list(spool.placed())) == 7
    committer.check()
    assert {row.sop_instance_uid for row in snapshot(index, STUDY, 1)} == set(INNOCENT)
    assert set(spool.placed()) == known_files(index)


def test_a_duplicate_whose_file_cannot_be_removed_is_a_duplicate_all_the_same(
    commit_together, committer, spool, monkeypatch
):
    committer.commit(sealed(spool, INNOCENT[0]))

    def stuck(*_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Spool, "drop", stuck)
    told = commit_together([sealed(spool, uid) for uid in INNOCENT])
    assert told == dict.fromkeys(INNOCENT[1:], Outcome.NEW) | {INNOCENT[0]: Outcome.DUPLICATE}


def test_senders_beside_one_whose_image_is_refused_notice_nothing_of_it(receiver, storage, index):
    refuse_the_guilty(index)
    scp = receiver()
    answers: Counter[tuple[bool, int]] = Counter()

    def send(number: int) -> None:
        with RawSender(scp.port) as sender:
            for image in range(13, 43):
                uid, data = mr_data_set(STUDY, f"{STUDY}.{number}", image if number > 1 else 13)
                status = sender.store(uid, data)
                answers[uid == GUILTY, status] += 1
            sender.release()

    threads = [threading.Thread(target=send, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert answers == {(False, SUCCESS): 7 * 30, (True, CANNOT_UNDERSTAND): 30}
    scp.stop()
    spool = Spool.open(storage)
    rows = snapshot(index, STUDY, 1)
    assert len(rows) == 7 * 30
    assert {row.file for row in rows} == set(spool.placed())
    spool.close()


def test_a_file_that_the_index_refuses_does_not_keep_the_receiver_from_starting(
    receiver, storage, index
):
    scp = receiver()
    with RawSender(scp.port) as sender:
        for image in (12, 13, 14):
            assert sender.store(*mr_data_set(STUDY, f"{STUDY}.1", image)) == SUCCESS
        sender.release()
    scp.stop()
    with index.begin() as connection:
        connection.exec_driver_sql("DELETE FROM instance")
    refuse_the_guilty(index)
    spool = Spool.open(storage)
    found = recover(spool, index)
    assert (found.recorded, found.unreadable) == (2, 1)
    assert len(list(spool.placed())) == 3  # a later version may take it
    spool.close()


@pytest.mark.parametrize("values", [{"modality": "M\0"}, {"expected_images": 2**40}])
def test_a_server_that_refuses_a_value_is_understood_and_goes_on(
    postgresql, spool, tmp_path, values
):
    server = open_index(Storage(directory=tmp_path, database_url=postgresql))
    committer = Committer(spool, server)
    with pytest.raises(RefusedValueError):
        committer.commit(sealed(spool, GUILTY, **values))
    assert committer.commit(sealed(spool, INNOCENT[0])) is Outcome.NEW
    assert set(spool.placed()) == known_files(server)
    assert len(known_files(server)) == 1
    committer.close()
    server.dispose()
