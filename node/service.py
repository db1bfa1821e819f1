"""`serve`: starts receiver, worker and status page as processes of their own, kept running.

They never call each other; each may crash and come back alone.
"""

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from node.errors import NodeError, UsageError
from node.lifeline import PARENT

log = logging.getLogger(__name__)

LOOK_S = 0.2
STOP_GRACE_S = 15.0
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 10.0
SOUND_AFTER_S = 60.0
"""A child that ran so long has recovered: its next crash is met by the shortest pause again."""
HOPELESS_EXITS = (UsageError.exit_code,)


class ChildGaveUpError(NodeError):
    """A child says that starting it again cannot help; its own log says why."""

    exit_code = UsageError.exit_code


@dataclass
class Child:
    """One process that is to run all the time."""

    name: str
    command: Sequence[str]
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    crashes: int = 0
    not_before_s: float = 0.0

    def pause_s(self) -> float:
        """How long to wait before the next start: twice as long with each crash in a row."""
        return min(FIRST_PAUSE_S * 2 ** max(0, self.crashes - 1), LONGEST_PAUSE_S)


def node_command(name: str, config: Path | None) -> list[str]:
    """One of our own commands, in this same environment."""
    options = [] if config is None else ["--config", str(config.resolve())]
    return [sys.executable, "-m", "node", name, *options]


class Supervisor:
    """Keeps children running until it is told to stop, and then ends them all."""

    def __init__(self, commands: Mapping[str, Sequence[str]]) -> None:
        self._children = [Child(name=name, command=cmd) for name, cmd in commands.items()]

    def run(self, stop: threading.Event) -> None:
        """Supervise until `stop` is set.

        Raises
        ------
        ChildGaveUpError
            A child left with the exit code for a wrong configuration.
        """
        try:
            while not stop.is_set():
                for child in self._children:
                    self._look_after(child)
                stop.wait(LOOK_S)
        finally:
            self._end_all()

    def _look_after(self, child: Child) -> None:
        now_s = time.monotonic()
        if child.process is None:
            if now_s >= child.not_before_s:
                self._start(child, now_s)
            return
        exit_code = child.process.poll()
        if exit_code is None:
            return
        if exit_code in HOPELESS_EXITS:
            raise ChildGaveUpError(f"the {child.name} cannot start; its message is above")
        if now_s - child.started_s > SOUND_AFTER_S:
            child.crashes = 0
        child.crashes += 1
        child.process = None
        child.not_before_s = now_s + child.pause_s()
        log.error(
            "the %s ended (exit code %d) and is started again in %.1f s",
            child.name,
            exit_code,
            child.pause_s(),
        )

    def _start(self, child: Child, now_s: float) -> None:
        child.process = subprocess.Popen(  # noqa: S603  an argument list, no shell
            child.command,
            stdin=subprocess.DEVNULL,
            env={**os.environ, PARENT: str(os.getpid())},
        )
        child.started_s = now_s
        log.info("the %s runs as process %d", child.name, child.process.pid)

    def _end_all(self) -> None:
        running = [child.process for child in self._children if child.process is not None]
        for process in running:
            process.terminate()
        deadline_s = time.monotonic() + STOP_GRACE_S
        for process in running:
            try:
                process.wait(timeout=max(0.1, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.warning("process %d does not stop and is killed", process.pid)
                process.kill()
                process.wait()
