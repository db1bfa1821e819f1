"""The same node with its index and its engine on PostgreSQL."""

import os
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.peers import Node, Pacs, destination, free_port, send, study_of, wait_for


@pytest.fixture
def postgresql():
    """Start Debian's server on a free port of this machine; returns its URL."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs or os.geteuid() != 0:
        pytest.skip("Debian's postgresql absent, or not root: the server will not run as root")
    binaries = programs[-1].parent
    with tempfile.TemporaryDirectory(prefix="postgresql") as name:
        folder, port = Path(name), free_port()
        subprocess.run(["chown", "postgres", name], check=True)

        def run(*words: str) -> None:
            data = ["-D", str(folder / "data")]
            subprocess.run(
                ["runuser", "-u", "postgres", "--", str(binaries / words[0]), *data, *words[1:]],
                check=True,
                cwd="/",
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

        run("initdb", "-A", "trust")
        where = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1"
        run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", where, "start")
        yield f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"
        run("pg_ctl", "-m", "fast", "stop")


@pytest.mark.peer
def test_a_killed_worker_goes_on_and_results_arrive_once(tmp_path, postgresql):
    pacs = Pacs().start()
    node = Node(
        tmp_path,
        storage={"directory": str(tmp_path / "state"), "database_url": postgresql},
        delivery={"destinations": [destination(pacs)], "first_retry_s": 0.5},
    )
    node.environment["ANALYSIS_SECONDS"] = "1"
    node.start().wait_until_ready()
    try:
        send(node.port, study_of(8, seed="postgresql"))
        wait_for(lambda: node.said("8 images"), "the analysis begins")
        node.kill("worker")
        wait_for(lambda: len(pacs.stored) == 3, "three results")
        assert set(pacs.offered.values()) == {1}
        assert set(pacs.comments.values()) == {"8 images"}
    finally:
        node.stop()
        pacs.stop()
