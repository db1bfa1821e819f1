"""Fixtures of the tests that run the whole node: a PACS, and a node that delivers to it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.forked import ForkedNode
from tests.peers import Node, Pacs, destination


@pytest.fixture
def pacs():
    pacs = Pacs().start()
    yield pacs
    pacs.stop()


@pytest.fixture
def make_node(tmp_path, pacs):
    """Make a node, with other settings or of another kind; it is stopped at the end."""
    made: list[Node] = []

    def make(kind: type[Node] = Node, **sections: object) -> Node:
        delivery = {
            "destinations": [destination(pacs)],
            "first_retry_s": 0.5,
            "longest_retry_s": 2.0,
            "timeout_s": 5.0,
        }
        made.append(kind(tmp_path, delivery=delivery, **sections))
        return made[-1]

    yield make
    for node in made:
        if node.process is not None:
            node.stop()


@pytest.fixture
def node(make_node):
    return make_node()


@pytest.fixture
def forked_node(make_node):
    """A node whose processes start at once, to be killed often."""
    return make_node(ForkedNode)


@pytest.fixture
def own_disk():
    """Give words before a command that give it a small filesystem of its own at a folder."""
    unshare = shutil.which("unshare")
    namespace = [str(unshare), "--user", "--map-root-user", "--mount", "sh", "-c"]

    def prefix(folder: Path, megabytes: int) -> list[str]:
        mount = f"mkdir -p {folder} && mount -t tmpfs -o size={megabytes}m tmpfs {folder}"
        if unshare is None or subprocess.run([*namespace, mount], check=False).returncode != 0:
            pytest.skip("no mount namespace of our own is allowed here")
        return [*namespace, f'{mount} && exec "$@"', "sh"]

    return prefix
