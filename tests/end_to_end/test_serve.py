"""The node as processes: what a scanner sends comes back as results, once, whatever is killed."""

import pytest

from tests.peers import Node, Pacs, destination, send, study_of, wait_for

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket")


@pytest.fixture
def pacs():
    pacs = Pacs().start()
    yield pacs
    pacs.stop()


@pytest.fixture
def node(tmp_path, pacs):
    node = Node(
        tmp_path,
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
    images = study_of(60, seed="killed")
    send(node.port, images[:20])
    node.kill("receiver")
    send(node.port, images[20:40])
    node.kill()
    node.start()
    send(node.port, images[40:])
    wait_for(lambda: node.said("60 images"), "the analysis begins")
    node.kill("worker")
    wait_for(lambda: len(pacs.stored) == 3, "three results")
    assert set(pacs.comments.values()) == {"60 images"}
    assert set(pacs.stored.values()) == {1}
