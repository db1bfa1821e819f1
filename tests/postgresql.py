"""Debian's PostgreSQL on a free port of this machine, with its data in a temporary folder."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.peers import free_port


@contextmanager
def server(*, inside: Sequence[str] = (), address: str = "127.0.0.1") -> Iterator[str]:
    """Run a server; gives its URL.

    Parameters
    ----------
    inside
        What each command is run by: a network namespace, for example.
    """
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs or os.geteuid() != 0:
        pytest.skip("Debian's postgresql absent, or not root: the server will not run as root")
    binaries = programs[-1].parent
    with tempfile.TemporaryDirectory(prefix="postgresql") as name:
        folder, port = Path(name), free_port()
        subprocess.run(["chown", "postgres", name], check=True)

        def run(program: str, *words: str) -> None:
            as_postgres = [*inside, "runuser", "-u", "postgres", "--", str(binaries / program)]
            subprocess.run(
                [*as_postgres, "-D", str(folder / "data"), *words],
                check=True,
                cwd="/",
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )

        run("initdb", "-A", "trust")
        with (folder / "data" / "pg_hba.conf").open("a") as rules:
            rules.write(f"host all all {address}/24 trust\n")
        where = f"-p {port} -k {folder} -c listen_addresses={address}"
        run("pg_ctl", "-w", "-l", str(folder / "log"), "-o", where, "start")
        try:
            yield f"postgresql+psycopg://postgres@{address}:{port}/postgres"
        finally:
            run("pg_ctl", "-m", "immediate", "stop")


@pytest.fixture
def postgresql() -> Iterator[str]:
    """Give the URL of a server of one's own."""
    with server() as url:
        yield url
