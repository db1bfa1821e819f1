"""A PACS for the demonstration: Orthanc where it is installed, else a storage SCP of our own."""

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Protocol

import pydicom
from pydicom import Dataset
from pynetdicom import AE, AllStoragePresentationContexts, build_context, evt

from node.errors import NodeError

VERIFICATION = "1.2.840.10008.1.1"

START_TIMEOUT_S = 30.0
HOST = "127.0.0.1"


class Pacs(Protocol):
    """What the demonstration needs of a PACS."""

    ae_title: str
    port: int
    name: str

    def instances(self) -> list[Dataset]:
        """Fetch every instance that the PACS holds."""


@contextmanager
def running_pacs(directory: Path) -> Iterator[Pacs]:
    """Run a PACS that keeps its files under `directory` until the context ends."""
    orthanc = shutil.which("Orthanc")
    with _running_orthanc(orthanc, directory) if orthanc else _running_scp() as pacs:
        yield pacs


def free_port() -> int:
    """Return a TCP port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class _Orthanc:
    """A running Orthanc, asked over its REST interface."""

    ae_title = "ORTHANC"

    def __init__(self, port: int, http_port: int) -> None:
        self.port = port
        self._url = f"http://{HOST}:{http_port}"
        self.name = f"Orthanc {self.system()['Version']}"

    def system(self) -> dict[str, str]:
        content: dict[str, str] = json.loads(self._get("/system"))
        return content

    def instances(self) -> list[Dataset]:
        identifiers = json.loads(self._get("/instances"))
        return [
            pydicom.dcmread(BytesIO(self._get(f"/instances/{identifier}/file")))
            for identifier in identifiers
        ]

    def _get(self, path: str) -> bytes:
        with urllib.request.urlopen(self._url + path, timeout=10) as response:  # noqa: S310  loopback, our own scheme
            content: bytes = response.read()
            return content


@contextmanager
def _running_orthanc(program: str, directory: Path) -> Iterator[Pacs]:
    directory.mkdir(parents=True)
    port, http_port = free_port(), free_port()
    settings = {
        "StorageDirectory": str(directory / "storage"),
        "IndexDirectory": str(directory / "index"),
        "DicomAet": _Orthanc.ae_title,
        "DicomPort": port,
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAlwaysAllowStore": True,
        "Plugins": [],
    }
    (directory / "orthanc.json").write_text(json.dumps(settings))
    with (directory / "orthanc.log").open("wb") as log:
        process = subprocess.Popen(  # noqa: S603  found on the PATH, started with our own file
            [program, str(directory / "orthanc.json")], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            yield _wait_for_orthanc(process, port, http_port)
        finally:
            process.terminate()
            process.wait(timeout=30)


def _wait_for_orthanc(process: subprocess.Popen[bytes], port: int, http_port: int) -> Pacs:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            return _Orthanc(port, http_port)
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise NodeError("Orthanc did not start; its log is in the work folder of the demonstration")


class _StorageScp:
    """A storage SCP that keeps what it gets in memory."""

    ae_title = "DEMOPACS"
    name = "a storage SCP of our own (Orthanc is not installed)"

    def __init__(self) -> None:
        self._received: dict[str, Dataset] = {}
        entity = AE(ae_title=self.ae_title)
        entity.supported_contexts = [*AllStoragePresentationContexts, build_context(VERIFICATION)]
        server = entity.start_server(
            (HOST, 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
        )
        if server is None:  # pynetdicom's type allows it; it is returned unless it blocks
            raise NodeError("the storage SCP of the demonstration did not start")
        self.server = server
        self.port = int(server.server_address[1])

    def instances(self) -> list[Dataset]:
        return list(self._received.values())

    def _store(self, event: evt.Event) -> int:
        dataset = event.dataset
        dataset.file_meta = event.file_meta
        self._received[dataset.SOPInstanceUID] = dataset
        return 0x0000


@contextmanager
def _running_scp() -> Iterator[Pacs]:
    pacs = _StorageScp()
    try:
        yield pacs
    finally:
        pacs.server.shutdown()
