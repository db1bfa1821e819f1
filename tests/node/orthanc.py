"""A real PACS for tests: Debian's Orthanc on free ports, with its data in a temporary folder.

Orthanc 1.10 listens on every interface and knows no other way; its ports are drawn at random, its
HTTP side answers this machine only, and it lives no longer than the tests.
"""

import http.client
import json
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

AE_TITLE = "ORTHANC"


class Orthanc:
    """One server; `stop` and `start` keep its data."""

    def __init__(self, program: str, folder: Path, **settings: Any) -> None:
        self.program, self.folder = program, folder
        self.ae_title, self.host = AE_TITLE, "127.0.0.1"
        self.dicom_port, self.http_port = free_port(), free_port()
        self._process: subprocess.Popen | None = None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "orthanc.json").write_text(
            json.dumps(
                {
                    "Name": "tests",
                    "StorageDirectory": str(folder / "storage"),
                    "IndexDirectory": str(folder / "storage"),
                    "HttpPort": self.http_port,
                    "RemoteAccessAllowed": False,
                    "AuthenticationEnabled": False,
                    "DicomAet": AE_TITLE,
                    "DicomPort": self.dicom_port,
                    "DicomCheckCalledAet": False,
                    "DicomAlwaysAllowEcho": True,
                    "DicomAlwaysAllowStore": True,
                    "DicomScpTimeout": 30,
                    "Plugins": [],
                    **settings,
                }
            )
        )

    def start(self) -> None:
        """Start the server and wait until it answers on both ports."""
        with (self.folder / "orthanc.log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.program, str(self.folder / "orthanc.json")], stdout=log, stderr=log
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(OSError):
                self.get("/system")
                socket.create_connection((self.host, self.dicom_port), timeout=1).close()
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        log_text = (self.folder / "orthanc.log").read_text(errors="replace")
        raise RuntimeError(f"Orthanc did not start:\n{log_text[-2000:]}")

    def stop(self) -> None:
        """Stop the server; what it stored stays."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(timeout=30)
            self._process = None

    def request(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Send one HTTP request and return what comes back."""
        connection = http.client.HTTPConnection(self.host, self.http_port, timeout=30)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            content = response.read()
            if response.status >= 400:
                raise OSError(f"{method} {path}: {response.status}")
            return content
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """Return the JSON at `path`."""
        return json.loads(self.request("GET", path))

    def clear(self) -> None:
        """Forget every patient."""
        for patient in self.get("/patients"):
            self.request("DELETE", f"/patients/{patient}")

    def files(self) -> dict[str, bytes]:
        """Everything stored: SOP Instance UID to file."""
        return {
            self.get(f"/instances/{identifier}")["MainDicomTags"]["SOPInstanceUID"]: self.request(
                "GET", f"/instances/{identifier}/file"
            )
            for identifier in self.get("/instances")
        }


def free_port() -> int:
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def orthanc_server(tmp_path_factory) -> Iterator[Orthanc]:
    """One server for the session; tests take `orthanc`, which is empty."""
    program = shutil.which("Orthanc")
    if program is None:
        pytest.skip("Orthanc absent: install Debian's orthanc")
    server = Orthanc(program, tmp_path_factory.mktemp("orthanc"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def orthanc(orthanc_server) -> Orthanc:
    """Give an empty PACS that takes everything."""
    orthanc_server.clear()
    return orthanc_server


@pytest.fixture
def own_orthanc(program, tmp_path) -> Iterator[Callable[..., Orthanc]]:
    """Make servers of one's own, with settings, to stop and start."""
    made: list[Orthanc] = []

    def make(**settings: Any) -> Orthanc:
        server = Orthanc(program("Orthanc"), tmp_path / f"orthanc{len(made)}", **settings)
        made.append(server)
        server.start()
        return server

    yield make
    for server in made:
        server.stop()
