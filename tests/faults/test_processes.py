"""The whole node under kill -9, late images and broken databases: kept, and one set of results.

PERFUSION_KILLS sets how often the processes are killed (5 by default, for the sake of time).
"""

import os
import random
import sqlite3
import threading
import time

import pytest

from tests.peers import Node, Pacs, destination, send, study_of, wait_for

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket")

KILLS = int(os.environ.get("PERFUSION_KILLS", "5"))


@pytest.fixture
def pacs():
    pacs = Pacs().start()
    yield pacs
    pacs.stop()


@pytest.fixture
def node(tmp_path, pacs, request):
    node = Node(
        tmp_path,
        **getattr(request, "param", {}),
        delivery={
            "destinations": [destination(pacs)],
            "first_retry_s": 0.5,
            "longest_retry_s": 2.0,
            "timeout_s": 5.0,
        },
    )
    yield node
    if node.process is not None:
        node.stop()


def test_kill_9_at_random_moments_loses_nothing_and_doubles_nothing(node, pacs):
    chance = random.Random(20)  # noqa: S311  the same moments in every run
    node.environment["ANALYSIS_SECONDS"] = "0.3"
    node.start().wait_until_ready()
    studies = [study_of(12, seed=f"killed {number}") for number in range(5)]
    acknowledged = []
    scanner = threading.Thread(
        target=lambda: [acknowledged.extend(send(node.port, study)) for study in studies]
    )
    scanner.start()
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.1, 2.5))
        victim = chance.choice(["receiver", "worker", "worker", None])
        node.kill(victim)
        if victim is None:
            node.start()
    scanner.join()
    wait_for(lambda: len(pacs.stored) >= 3 * len(studies), "all results", timeout_s=120)
    assert len(acknowledged) == 12 * len(studies)
    # An answer that was lost with its process is asked for again, under the same UID.
    assert len(pacs.stored) == 3 * len(studies)
    assert set(pacs.comments.values()) == {"12 images"}
    assert kept(node) == 12 * len(studies)


@pytest.mark.parametrize(
    "node", [{"completion": {"series_quiet_s": 3.0, "study_quiet_s": 0.5}}], indirect=True
)
def test_a_late_image_during_the_analysis_gives_one_set_with_all_images(node, pacs):
    node.environment["ANALYSIS_SECONDS"] = "2"
    node.start().wait_until_ready()
    images = study_of(10, seed="late")
    send(node.port, images)
    wait_for(lambda: node.said("revision 1: 10 images"), "the analysis begins")
    late = study_of(11, seed="late")[10:]
    late[0].ImagesInAcquisition = 10
    send(node.port, late)
    wait_for(lambda: len(pacs.stored) == 3, "three results")
    assert set(pacs.comments.values()) == {"11 images"}
    assert node.said("revision 1: superseded")


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


def kept(node) -> int:
    """Images in the spool, as files and as rows: the same number."""
    files = len(list((node.folder / "state" / "spool" / "instances").rglob("*.dcm")))
    connection = sqlite3.connect(node.folder / "state" / "index.sqlite")
    (rows,) = connection.execute("SELECT count(*) FROM instance").fetchone()
    connection.close()
    assert files >= rows  # a file whose row was not written yet when its process was killed
    return rows
