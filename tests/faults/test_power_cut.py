"""A power cut while results and audit messages are written; images are in `test_receiver`."""

import json
import subprocess
import sys

import pytest

from tests.peers import ROOT

KEEP_RESULTS = """
from pathlib import Path
from node.config import Storage
from node.spool import Spool
from node.workflow.folders import Folders
storage = Storage(directory=Path("state"))
Spool.open(storage)
folders = Folders(storage)
for revision in (1, 2):
    made = folders.work("1.2.3", revision, 0) / "made"
    made.mkdir()
    (made / "one.dcm").write_bytes(b"a result" * 1000)
    folders.keep_results(made, "1.2.3", revision, 0, said={"revision": revision})
"""
WRITE_AUDIT = """
from pathlib import Path
from node.audit import AuditTrail, Party
from node.config import Audit, Storage, Tls
from node.spool import Spool
storage = Storage(directory=Path("state"))
Spool.open(storage)
tls = Tls(certificate="a", private_key="b", authorities="c")
settings = Audit(repository="127.0.0.1", port=9, tls=tls)
trail = AuditTrail(settings, storage, ae_title="PERFUSION")
trail.instances_received(Party("SCANNER"), "1.2.3", {"1.2.840.10008.5.1.4.1.1.4": 7})
"""


@pytest.fixture
def after(power, tmp_path):
    """Run a program whose power is cut at its end; gives the storage directory after that."""

    def run(program):
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env={**power.environment, "PYTHONPATH": str(ROOT)},
            check=True,
        )
        return power.disk_of(tmp_path) / "state"

    return run


def test_results_that_the_ledger_may_name_are_whole(after):
    results = after(KEEP_RESULTS) / "results"
    kept = [json.loads(path.read_text()) for path in sorted(results.glob("*/outcome.json"))]
    assert [one["revision"] for one in kept] == [1, 2]
    assert [path.read_bytes() for path in results.glob("*/one.dcm")] == [b"a result" * 1000] * 2


def test_an_audit_message_stands_in_the_log_and_waits_for_the_repository(after):
    audit = after(WRITE_AUDIT) / "audit"
    assert (audit / "audit.log").read_text().count('NumberOfInstances="7"') == 1
    (waiting,) = (audit / "outgoing").iterdir()
    assert waiting.suffix == ".msg"
    assert waiting.read_bytes().endswith(b"</AuditMessage>")


def test_the_power_cut_does_take_what_was_not_flushed(power, tmp_path):
    code = (
        "import os\n"
        "for name, flush in (('kept', True), ('lost', False)):\n"
        "    with open(name, 'w') as file:\n"
        "        file.write('content'); file.flush()\n"
        "        flush and os.fsync(file.fileno())\n"
        "folder = os.open('.', os.O_RDONLY); os.fsync(folder)\n"
        "open('unnamed', 'w').close()\n"
    )
    (tmp_path / "work").mkdir()
    subprocess.run(
        ["python3", "-c", code], cwd=tmp_path / "work", env=power.environment, check=True
    )
    disk = power.disk_of(tmp_path / "work")
    assert (disk / "kept").read_text() == "content"
    assert (disk / "lost").read_text() == ""
    assert not (disk / "unnamed").exists()
