"""The whole node under kill -9, late images and many studies: kept, and one set of results.

PERFUSION_KILLS sets how often each process is killed.
"""

import os
import random
import sqlite3
import threading
import time
from collections import Counter

import pytest

from tests.peers import send, study_of, wait_for
from tests.receiving import files_of

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket")

KILLS = int(os.environ.get("PERFUSION_KILLS", "50"))
PROCESSES = ("receiver", "worker", "analysis", "supervisor")
IMAGES = 6


class Chaos:
    """Kills processes of a node at random moments, each as often as asked."""

    def __init__(self, node, kills: int) -> None:
        self.node = node
        self.left = dict.fromkeys(PROCESSES, kills)
        self.killed: Counter[str] = Counter()
        self._chance = random.Random(20)  # noqa: S311  the same order in every run

    def go_on(self) -> None:
        """Kill one process, of those that are to be killed most often still."""
        time.sleep(self._chance.uniform(0.0, 0.6))
        most = max(self.left.values())
        self.kill(self._chance.choice([name for name in PROCESSES if self.left[name] == most]))

    def kill(self, name: str) -> None:
        deadline_s = time.monotonic() + 60
        while not self.node.kill(None if name == "supervisor" else name):
            assert time.monotonic() < deadline_s, f"there is no {name} to kill"
            time.sleep(0.005)
        self.left[name] -= 1
        self.killed[name] += 1
        if name == "supervisor":
            self.node.start()


def test_each_process_killed_50_times_loses_nothing_and_doubles_nothing(forked_node, pacs):
    node = forked_node
    node.environment["ANALYSIS_SECONDS"] = "0.3"
    node.start().wait_until_ready()
    chaos = Chaos(node, KILLS)
    sent, acknowledged = [], []

    def scan() -> None:
        while any(chaos.left.values()):
            sent.append(study_of(IMAGES, seed=f"killed {len(sent)}"))
            acknowledged.extend(send(node.port, sent[-1]))
            # As many as are analysed meanwhile, and some more.
            wait_for(lambda: len(pacs.stored) > 3 * (len(sent) - 4) or not any(chaos.left.values()),
                     "some results", timeout_s=600)  # fmt: skip

    scanner = threading.Thread(target=scan)
    scanner.start()
    while any(chaos.left.values()):
        chaos.go_on()
    scanner.join()
    wait_for(lambda: len(pacs.stored) >= 3 * len(sent), "all results", timeout_s=120)
    assert chaos.killed == dict.fromkeys(PROCESSES, KILLS)
    assert len(acknowledged) == IMAGES * len(sent)
    # An answer that was lost with its process is asked for again, under the same UID.
    assert len(pacs.stored) == 3 * len(sent)
    assert set(pacs.comments.values()) == {f"{IMAGES} images"}
    assert kept(node) == IMAGES * len(sent)


def test_a_late_image_during_the_analysis_gives_one_set_with_all_images(make_node, pacs):
    node = make_node(completion={"series_quiet_s": 3.0, "study_quiet_s": 0.5})
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


def test_20_studies_interleaved_over_16_associations_give_20_sets_of_results(forked_node, pacs):
    node = forked_node
    node.environment["ANALYSIS_SECONDS"] = "0.1"
    node.start().wait_until_ready()
    studies = [study_of(IMAGES, seed=f"interleaved {number}") for number in range(20)]
    images = [study[number] for number in range(IMAGES) for study in studies]
    random.Random(4).shuffle(images)  # noqa: S311  the same order in every run
    scanners = [
        threading.Thread(target=send, args=(node.port, images[first::16])) for first in range(16)
    ]
    for scanner in scanners:
        scanner.start()
    for scanner in scanners:
        scanner.join()
    wait_for(lambda: len(pacs.stored) >= 3 * 20, "all results", timeout_s=300)
    assert node.stop() == 0
    assert len(pacs.stored) == 3 * 20
    assert set(pacs.stored.values()) == set(pacs.offered.values()) == {1}
    assert set(pacs.comments.values()) == {f"{IMAGES} images"}
    assert kept(node) == IMAGES * 20


def kept(node) -> int:
    """Images in the spool, as files and as rows: the same number."""
    files = len(files_of(node.folder / "state"))
    connection = sqlite3.connect(node.folder / "state" / "index.sqlite")
    (rows,) = connection.execute("SELECT count(*) FROM instance").fetchone()
    connection.close()
    assert files >= rows  # a file whose row was not written yet when its process was killed
    return rows
