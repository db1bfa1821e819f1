"""The receiver as a process of its own, as `serve` starts it."""

import contextlib
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from tests.raw_sender import SUCCESS, RawSender, mr_data_set


@pytest.fixture
def process(tmp_path):
    """Start `perfusion-node receive` and give it with its port; it is killed at the end."""
    settings = {
        "receive": {"host": "127.0.0.1", "port": 0},
        "storage": {"directory": str(tmp_path / "node")},
    }
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(settings))
    running = subprocess.Popen(
        [sys.executable, "-m", "node", "receive", "--config", str(config)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    line = running.stderr.readline()
    found = re.search(r"listening on 127\.0\.0\.1:(\d+) as PERFUSION", line)
    assert found, line + running.stderr.read()
    yield running, int(found[1])
    running.kill()
    running.wait()
    running.stderr.close()


def test_the_receiver_answers_and_stops_gracefully_on_a_signal(process):
    running, port = process
    entity = AE("SCANNER")
    entity.add_requested_context(Verification)
    association = entity.associate("127.0.0.1", port, ae_title="PERFUSION")
    assert association.send_c_echo().Status == 0x0000
    association.release()
    running.send_signal(signal.SIGTERM)
    assert running.wait(timeout=20) == 0
    assert "stopped" in running.stderr.read()


def test_no_array_library_is_loaded_in_the_receiver(process):
    running, _ = process
    loaded = Path(f"/proc/{running.pid}/maps").read_text()
    assert "pydantic_core" in loaded  # so this way of looking does see extension modules
    assert not re.search(r"numpy|torch|scipy|highdicom", loaded)


def test_what_was_committed_reaches_the_file_of_the_index_while_nothing_more_comes(
    process, tmp_path
):
    _, port = process
    uid, data = mr_data_set("1.2", "1.2.3", 1)
    with RawSender(port) as sender:
        assert sender.store(uid, data) == SUCCESS
        sender.release()
    # Immutable: SQLite looks at the file alone, not at the log beside it.
    alone = f"file:{tmp_path}/node/index.sqlite?immutable=1"
    deadline_s = time.monotonic() + 20.0
    found = []
    while not found and time.monotonic() < deadline_s:
        time.sleep(0.1)
        with (
            contextlib.closing(sqlite3.connect(alone, uri=True)) as index,
            contextlib.suppress(sqlite3.DatabaseError),  # before, and while it is written
        ):
            found = index.execute("SELECT sop_instance_uid FROM instance").fetchall()
    assert found == [(uid,)]
