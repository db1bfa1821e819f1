"""A disk that fills up while a study is analysed: the study waits, and goes on when there is room.

Intake under a full disk is in `test_receiver`.
"""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from node import cli
from node.errors import EncodingError, NodeError
from tests.peers import ROOT, send, study_of, wait_for

pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket")


def test_an_analysis_that_finds_the_disk_full_waits_and_resumes(make_node, pacs, own_disk):
    node = make_node()
    state = node.folder / "state"
    node.prefix = own_disk(state, 40)
    node.environment["ANALYSIS_MEGABYTES"] = "20"
    node.start().wait_until_ready()
    # The mount is seen only from inside.
    inside = Path(f"/proc/{node.process.pid}/root{state}")
    (inside / "filler").write_bytes(bytes(2**20 * 20))
    send(node.port, study_of(6, seed="full"))
    wait_for(lambda: node.said("waits: the disk is full"), "the analysis finds no room")
    assert not pacs.offered
    assert not list(inside.glob("results/*/*"))
    (inside / "filler").unlink()
    wait_for(lambda: len(pacs.stored) == 3, "three results")
    assert set(pacs.stored.values()) == {1}
    assert set(pacs.comments.values()) == {"6 images"}
    wait_for(lambda: not list((inside / "work").iterdir()), "the scratch folder is empty")


def no_room() -> int:
    raise OSError(errno.ENOSPC, "No space left on device")


def no_room_in_other_hands() -> int:
    try:
        return no_room()
    except OSError as error:
        raise EncodingError("an object cannot be written") from error


@pytest.mark.parametrize("work", [no_room, no_room_in_other_hands])
def test_a_command_without_room_says_so_by_its_exit_code(work, capsys):
    assert cli.guarded(work) == 5
    assert "the disk is full" in capsys.readouterr().err


def test_other_errors_keep_their_exit_codes():
    def fail() -> int:
        raise NodeError("something else")

    def break_down() -> int:
        raise OSError(errno.EIO, "Input/output error")

    assert cli.guarded(fail) == 1
    with pytest.raises(OSError, match="Input/output"):
        cli.guarded(break_down)


def test_an_answer_that_does_not_fit_on_the_disk_is_no_answer():
    code = "import sys; from node.cli import guarded; sys.exit(guarded(lambda: print('{}') or 0))"
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run([sys.executable, "-c", code], stdout=full, cwd=ROOT, check=False)
    assert ended.returncode == 5
