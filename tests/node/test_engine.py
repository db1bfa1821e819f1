"""The engine on SQLite. One a process, so each test that needs a crash runs a process."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from node.engine import Engine, Lane, Progress
from node.errors import EngineError

ROOT = Path(__file__).parents[2]
CRASHING = """
import os, sys, time
from pathlib import Path
from node.engine import Engine, Lane
folder, starts = Path(sys.argv[1]), sys.argv[2:]
def write(line):
    with (folder / "done").open("a") as file:
        file.write(line + "\\n")
def first(key):
    write("first " + key)
    return key + "!"
def second(key, text):
    time.sleep(0.4)
    write("second " + text)
def handler(key):
    text = engine.step("first", first, key)
    engine.step("second", second, key, text)
engine = Engine(f"sqlite:///{folder}/engine.sqlite", locks=folder / "locks",
                lanes=[Lane(name="work", slots=2, handler=handler)], poll_s=0.1)
engine.launch()
for key in starts:
    engine.start(key)
while engine.live():
    time.sleep(0.05)
engine.close()
"""


@pytest.fixture
def run(tmp_path):
    """Run an engine of one lane in this process."""
    engines = []

    def start(handler, **options):
        engine = Engine(
            f"sqlite:///{tmp_path}/engine.sqlite",
            locks=tmp_path / "locks",
            lanes=[Lane(name="work", slots=2, handler=lambda key: handler(engine, key))],
            poll_s=0.05,
            **options,
        )
        engine.launch()
        engines.append(engine)
        return engine

    yield start
    for engine in engines:
        engine.close()


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_key_runs_once_however_often_it_is_started(run):
    ran = []
    engine = run(lambda engine, key: engine.step("note", ran.append, key))
    for _ in range(5):
        engine.start("work:a")
    wait_for(lambda: engine.status("work:a") is Progress.FINISHED)
    engine.start("work:a")
    assert engine.live() == {}
    assert ran == ["work:a"]


def test_work_waits_for_its_time_and_can_be_brought_forward(run):
    ran = []
    engine = run(lambda _, key: ran.append(key))
    later_s = time.time() + 3600
    engine.start("work:late", later_s)
    assert engine.live()["work:late"].not_before_s == pytest.approx(later_s, abs=1)
    assert ran == []
    engine.start("work:late", time.time())
    wait_for(lambda: ran == ["work:late"])


def test_a_handler_that_fails_is_seen_as_failed_and_a_cancelled_key_does_not_run(run):
    def handler(_, key):
        raise ValueError(key)

    engine = run(handler)
    engine.start("work:bad")
    engine.start("work:never", time.time() + 3600)
    engine.cancel("work:never")
    wait_for(lambda: engine.status("work:bad") is Progress.FAILED)
    assert engine.status("work:never") is Progress.CANCELLED
    assert engine.status("work:unknown") is None


def test_the_database_syncs_fully_and_keeps_its_checkpoints_as_json(run, tmp_path):
    engine = run(lambda engine, key: engine.step("note", dict, key=key))
    engine.start("work:a")
    wait_for(lambda: engine.status("work:a") is Progress.FINISHED)
    connection = sqlite3.connect(tmp_path / "engine.sqlite")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    outputs = connection.execute("SELECT output FROM operation_outputs").fetchall()
    connection.close()
    assert any('"key"' in str(output) for output in outputs)


def test_killed_work_is_taken_over_and_only_unfinished_steps_run_again(tmp_path):
    (tmp_path / "crash.py").write_text(CRASHING)
    command = [sys.executable, str(tmp_path / "crash.py"), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    keys = [f"work:{number}" for number in range(6)]
    done = tmp_path / "done"
    victim = subprocess.Popen([*command, *keys], env=environment)
    wait_for(lambda: done.exists() and "first" in done.read_text())
    time.sleep(0.2)
    victim.send_signal(signal.SIGKILL)
    victim.wait()
    # All keys again: those that were known are not started twice.
    subprocess.run([*command, *keys], env=environment, check=True, timeout=60)
    lines = done.read_text().splitlines()
    expected = {f"{step} {key}" for key in keys for step in ("first", "second")}
    assert {line.removesuffix("!") for line in lines} == expected
    # Only a step whose end was not written down yet may run again: at most one a slot.
    assert len(lines) <= len(expected) + 2
    assert len(list((tmp_path / "locks").iterdir())) <= 1


def test_a_damaged_database_is_refused_with_advice(tmp_path):
    (tmp_path / "engine.sqlite").write_bytes(b"no database at all" * 1000)
    engine = Engine(f"sqlite:///{tmp_path}/engine.sqlite", locks=tmp_path / "locks", lanes=[])
    with pytest.raises(EngineError, match="move this database away"):
        engine.launch()
