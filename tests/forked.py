"""The node's processes without the wait for their imports: forked from one that has made them.

A process that is killed fifty times spends a minute on imports alone. Here it runs the same code
and is killed the same way; only its beginning is quicker. The pauses of supervisor, sweep and
lifeline are short, so that fifty restarts fit into a test.
"""

import functools
import logging
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import SimpleNamespace
from typing import Self

from node import lifeline, service, worker
from node.commands import receive
from node.config import load_config
from node.log_setup import set_up_logging
from node.receive import process
from node.workflow import study, sweep
from tests.peers import HERE, ROOT, Node
from tests.raw_sender import LostError, ReceiverProcess

PRELOADED = (process,)  # what the commands import only when they run

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])


def start(function: Callable[..., None], *arguments: object) -> BaseProcess:
    """Run a function of this module in a process of its own."""
    process = _CONTEXT.Process(target=function, args=arguments)
    process.start()
    return process


def run_receiver(config: Path, log: Path) -> None:
    """Be `perfusion-node receive`."""
    _write_to(log)
    sys.exit(receive.run(Namespace(config=config)))


def run_node(
    config: Path, log: Path, analysis: Sequence[str], environment: Mapping[str, str]
) -> None:
    """Be `perfusion-node serve`, with another analysis."""
    _write_to(log)
    os.environ.update(environment)
    service.LOOK_S = lifeline.LOOK_S = 0.05
    service.FIRST_PAUSE_S = service.LONGEST_PAUSE_S = 0.05
    worker.SWEEP_S = worker.UNFORESEEN_PAUSE_S = 0.1
    worker.Engine = functools.partial(worker.Engine, poll_s=0.1)  # type: ignore[misc]
    study.REPEAT_AFTER_S = sweep.FIRST_PAUSE_S = 0.01
    study.CRASHES_REPEATED = sweep.GIVE_UP_AFTER = 1000
    service.subprocess = SimpleNamespace(  # type: ignore[attr-defined]
        Popen=_Forked, DEVNULL=subprocess.DEVNULL, TimeoutExpired=subprocess.TimeoutExpired
    )
    set_up_logging("INFO")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    commands = {"receiver": ["receive", str(config)], "worker": ["work", str(config), *analysis]}
    service.Supervisor(commands).run(stop)


class _Forked:
    """As much of `subprocess.Popen` as the supervisor uses."""

    def __init__(self, command: Sequence[str], *, stdin: int, env: Mapping[str, str]) -> None:
        del stdin
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            os.environ.update(env)
            _be(command)

    def poll(self) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> None:
        del timeout
        if self.returncode is None:
            self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def terminate(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)

    def kill(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)


def _be(command: Sequence[str]) -> None:
    """Become one of the node's processes; never returns."""
    code = 1
    try:
        lifeline.follow_parent()
        config = Path(command[1])
        if command[0] == "receive":
            code = receive.run(Namespace(config=config))
        else:
            stop = threading.Event()
            signal.signal(signal.SIGTERM, lambda *_: stop.set())
            worker.Worker(load_config(config), command=command[2:]).run(stop)
            lifeline.leave()
    except BaseException:  # noqa: BLE001  the same as the end of an interpreter
        traceback.print_exc()
    finally:
        logging.shutdown()
        sys.stderr.flush()
        os._exit(code)


def _write_to(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.close(descriptor)


class ForkedNode(Node):
    """The same, with processes that start at once and pause shortly."""

    def start(self) -> "ForkedNode":
        analysis = [sys.executable, str(HERE / "analysis.py")]
        environment = {"PYTHONPATH": str(ROOT), **self.environment}
        self.log.touch()
        self.process = Process(start(run_node, self.config, self.log, analysis, environment))
        return self


class Process:
    """A forked process as if it were one of `subprocess`."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        self.pid = process.pid or 0

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("a forked process", timeout or 0.0)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self._process.terminate()

    def kill(self) -> None:
        self._process.kill()


class ForkedReceiver(ReceiverProcess):
    """The same, which listens at once because its imports are made already."""

    def __init__(self, folder: Path, **receive: object) -> None:
        super().__init__(folder, **receive)
        self._log = folder / "receiver.log"
        self._log.touch()

    def start(self) -> Self:
        """Start, and wait until it listens."""
        said = self._log.stat().st_size
        self.process = process = start(run_receiver, self._config, self._log)
        while process.exitcode is None:
            text = self._log.read_bytes()[said:].decode()
            found = re.search(r"listening on 127\.0\.0\.1:(\d+) ", text)
            if found:
                self.port = int(found[1])
                return self
            time.sleep(0.002)
        raise LostError(self._log.read_text())

    def kill(self) -> None:
        """End it as a power switch would: no signal handler runs."""
        self.process.kill()
        self.process.join()

    def stop(self) -> None:
        """End it in order, where it still runs."""
        if self.process is not None:
            self.process.terminate()
            self.process.join(30)
