"""Databases that are lost, locked, damaged or restored under the whole node: nothing is lost."""

import sqlite3
import threading
import time

import pytest

from tests.faults.test_processes import kept
from tests.peers import send, study_of, wait_for

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket")


def test_a_lost_engine_database_loses_no_work(node, pacs, tmp_path):
    pacs.stop()
    node.start().wait_until_ready()
    send(node.port, study_of(6, seed="engine"))
    wait_for(lambda: node.said("to pacs: pending"), "a first attempt")
    node.stop()
    engine = tmp_path / "state" / "engine.sqlite"
    engine.write_bytes(b"no database at all" * 1000)
    for rest in ("-wal", "-shm"):
        engine.with_name(engine.name + rest).unlink(missing_ok=True)
    node.start()
    wait_for(lambda: node.said("move this database away"), "advice")
    send(node.port, study_of(6, seed="meanwhile"))  # the receiver takes images all the same
    engine.unlink()
    pacs.start()
    wait_for(lambda: len(pacs.stored) == 6, "both studies' results")
    assert set(pacs.stored.values()) == {1}


def test_a_locked_index_delays_and_loses_nothing(node, pacs, tmp_path):
    node.start().wait_until_ready()
    stranger = sqlite3.connect(tmp_path / "state" / "index.sqlite", isolation_level=None)
    stranger.execute("BEGIN IMMEDIATE")
    images = study_of(6, seed="locked")
    scanner = threading.Thread(target=send, args=(node.port, images))
    scanner.start()
    time.sleep(2)
    stranger.execute("ROLLBACK")
    stranger.close()
    scanner.join()
    wait_for(lambda: len(pacs.stored) == 3, "three results")
    assert kept(node) == 6


def test_a_damaged_index_is_refused_and_from_its_backup_everything_is_found_again(
    node, pacs, tmp_path
):
    state = tmp_path / "state"
    node.start().wait_until_ready()
    send(node.port, study_of(6, seed="before the backup"))
    wait_for(lambda: len(pacs.stored) == 3, "the results of before")
    wait_for(lambda: node.said("revision 1: done"), "the end of the analysis")
    copy, index = sqlite3.connect(state / "copy.sqlite"), sqlite3.connect(state / "index.sqlite")
    index.backup(copy)
    for connection in (copy, index):
        connection.close()
    send(node.port, study_of(6, seed="after the backup"))
    wait_for(lambda: len(pacs.stored) == 6, "the results of after")
    node.stop()
    index = sqlite3.connect(state / "index.sqlite")
    index.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    index.close()
    # Every page but the first few: whoever only opens it finds tables and columns as they were.
    content = (state / "index.sqlite").read_bytes()
    (state / "index.sqlite").write_bytes(content[: 8 * 4096] + bytes(len(content) - 8 * 4096))
    before = node.log.read_text()

    def says(words: str) -> bool:
        return words in node.log.read_text()[len(before) :]

    node.start()
    wait_for(lambda: says("restore it from a backup"), "advice")
    node.stop()
    assert not says("listening on")
    for file in (*state.glob("index.sqlite*"), *state.glob("engine.sqlite*")):  # as it was told
        file.unlink()
    (state / "copy.sqlite").replace(state / "index.sqlite")
    node.start()
    wait_for(lambda: says("6 instances recorded"), "the images of after")
    wait_for(lambda: max(pacs.offered.values()) == 2, "the results of after, again")
    send(node.port, study_of(6, seed="after the backup"))  # duplicates
    wait_for(lambda: sum(pacs.offered.values()) == 9, "all of them")
    assert len(pacs.stored) == 6  # under the same UIDs: one set
    assert kept(node) == 12
