"""The analysis as a child process: exactly the command that a person would run.

A process of its own, because a crash or an out-of-memory in it must not take the worker down, and
because there is then one way to process a study.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from node.errors import NoRoomError, OutOfMemoryError
from node.lifeline import PARENT

COMMAND: tuple[str, ...] = (sys.executable, "-m", "node", "process")
EXPECTED_EXITS = {0, 3, 4}
"""Results written; nothing to analyse; withheld: in each case the JSON on stdout says what."""
POLL_S = 0.2


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How the child ended."""

    answer: dict[str, object] | None
    """What it said on stdout, if it ended as agreed."""
    failure: str
    """Why there is no answer, without anything from the images."""
    repeat_helps: bool
    no_room: bool = False
    """Only for want of room on the disk: repeated as long as it takes."""


NO_ROOM = Outcome(answer=None, failure="the disk is full", repeat_helps=True, no_room=True)


def run_analysis(
    command: Sequence[str],
    study: Path,
    out: Path,
    *,
    replaces: Sequence[Path] = (),
    timeout_s: float,
    wanted: Callable[[], bool],
) -> Outcome:
    """Run the command on a folder of DICOM files and wait for it.

    Parameters
    ----------
    replaces
        Folders of earlier results, the oldest first.
    wanted
        Asked about once a second; the child is killed as soon as it says no.
    """
    deadline_s = time.monotonic() + timeout_s
    answer_file = out.with_suffix(".json")
    earlier = [word for folder in replaces for word in ("--replaces", str(folder))]
    with answer_file.open("wb") as stdout:
        child = subprocess.Popen(  # noqa: S603  an argument list, no shell
            [*command, str(study), "--out", str(out), "--json", *earlier],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            env={**os.environ, PARENT: str(os.getpid())},
            start_new_session=True,
        )
        try:
            ending = _wait(child, deadline_s, wanted)
        finally:
            _kill(child)
    if ending is not None:
        return Outcome(answer=None, failure=ending, repeat_helps=False)
    return _outcome(child.returncode, answer_file)


def _wait(
    child: subprocess.Popen[bytes], deadline_s: float, wanted: Callable[[], bool]
) -> str | None:
    """Wait for the child's end; returns why it was not waited for, or None."""
    asked_s = time.monotonic()
    while child.poll() is None:
        now_s = time.monotonic()
        if now_s > deadline_s:
            return "the analysis took longer than analysis.timeout_s"
        if now_s - asked_s > 1.0:
            asked_s = now_s
            if not wanted():
                return "cancelled"
        time.sleep(POLL_S)
    return None


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the child with everything that it started."""
    if child.poll() is None:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()


def _outcome(exit_code: int, answer_file: Path) -> Outcome:
    if exit_code < 0:
        # Most often the kernel, out of memory: a later try may find more of it.
        name = signal.Signals(-exit_code).name
        return Outcome(answer=None, failure=f"the analysis was ended by {name}", repeat_helps=True)
    if exit_code == NoRoomError.exit_code:
        return NO_ROOM
    if exit_code == OutOfMemoryError.exit_code:
        return Outcome(answer=None, failure="the analysis ran out of memory", repeat_helps=True)
    if exit_code not in EXPECTED_EXITS:
        failure = f"the analysis failed with exit code {exit_code}; its log has the cause"
        return Outcome(answer=None, failure=failure, repeat_helps=False)
    try:
        answer = json.loads(answer_file.read_bytes())
    except ValueError:
        return Outcome(answer=None, failure="the analysis answered no JSON", repeat_helps=False)
    if not isinstance(answer, dict):
        return Outcome(answer=None, failure="the analysis answered no object", repeat_helps=False)
    return Outcome(answer=answer, failure="", repeat_helps=False)
