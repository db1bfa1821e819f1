"""The world around a node under test: a scanner, a PACS that misbehaves on demand, the node."""

import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import yaml
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, MRImageStorage, generate_uid
from pynetdicom import AE, AllStoragePresentationContexts, build_context, evt
from pynetdicom.sop_class import (
    StorageCommitmentPushModel,
    StudyRootQueryRetrieveInformationModelFind,
    Verification,
)

ROOT = Path(__file__).parents[1]
HERE = ROOT / "tests" / "end_to_end"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def image(study: str, series: str, number: int, of: int | None = None) -> Dataset:
    """One small MR image with a patient who must not turn up anywhere."""
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = MRImageStorage
    made.SOPInstanceUID = generate_uid(entropy_srcs=[series, str(number)])
    made.StudyInstanceUID = study
    made.SeriesInstanceUID = series
    made.PatientName = "Markedname^Secret"
    made.PatientID = "MARKEDID"
    made.Modality = "MR"
    made.InstanceNumber = number
    if of is not None:
        made.ImagesInAcquisition = of
    made.Rows = made.Columns = 8
    made.BitsAllocated = made.BitsStored = 16
    made.HighBit = 15
    made.PixelRepresentation = 0
    made.SamplesPerPixel = 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.PixelData = bytes([number % 256]) * 128
    return made


def study_of(images: int, *, seed: str) -> list[Dataset]:
    """Images whose headers say how many they are, so that no pause completes them early."""
    study = generate_uid(entropy_srcs=[seed])
    series = generate_uid(entropy_srcs=[seed, "series"])
    return [image(study, series, number, of=images) for number in range(images)]


def send(port: int, images: list[Dataset]) -> list[str]:
    """Send like a scanner that tries again until each image is acknowledged; returns the UIDs."""
    waiting = list(images)
    acknowledged = []
    deadline = time.monotonic() + 60
    while waiting and time.monotonic() < deadline:
        scanner = AE("SCANNER")
        scanner.acse_timeout = scanner.dimse_timeout = 3.0
        scanner.add_requested_context(MRImageStorage, ExplicitVRLittleEndian)
        association = scanner.associate("127.0.0.1", port, ae_title="PERFUSION")
        while waiting and association.is_established:
            reply = association.send_c_store(waiting[0])
            if reply.get("Status") == 0x0000:
                acknowledged.append(str(waiting.pop(0).SOPInstanceUID))
        if association.is_established:
            association.release()
        else:
            time.sleep(0.1)
    assert not waiting, f"{len(waiting)} images were not taken"
    return acknowledged


class Pacs:
    """A storage SCP that counts what it stores; `answer` and `contexts` make it misbehave."""

    def __init__(self, port: int | None = None, contexts=None, known_callers=(), tls=None) -> None:
        self.port = port or free_port()
        self.stored: Counter[str] = Counter()
        self.offered: Counter[str] = Counter()
        self.comments: dict[str, str] = {}
        self.classes: dict[str, str] = {}
        self.asked: list[Dataset] = []
        self._connections: list[socket.socket] = []
        self.reports = True
        self.answer: Callable[[Dataset], int] = lambda _: 0x0000
        self._contexts = contexts
        self._known_callers = list(known_callers)
        self._tls = tls
        self._server = None

    def start(self) -> "Pacs":
        handlers = [
            (evt.EVT_CONN_OPEN, self._note_connection),
            (evt.EVT_C_STORE, self._take),
            (evt.EVT_C_FIND, self._find),
            (evt.EVT_N_ACTION, self._commit),
        ]
        entity = AE("PACS")
        entity.require_calling_aet = self._known_callers
        entity.supported_contexts = [
            *AllStoragePresentationContexts,
            *map(
                build_context,
                (
                    Verification,
                    StorageCommitmentPushModel,
                    StudyRootQueryRetrieveInformationModelFind,
                ),
            ),
        ]
        if self._contexts is not None:
            entity.supported_contexts = []
            for sop_class in self._contexts:
                entity.add_supported_context(sop_class, ImplicitVRLittleEndian)
        self._server = entity.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=handlers, ssl_context=self._tls
        )
        return self

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            for connection in self._connections:  # pynetdicom does not close all of them
                connection.close()
            self._connections.clear()
            gc.collect()
            self._server = None

    def _take(self, event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        self.offered[uid] += 1
        status = self.answer(event)
        if status >> 12 in (0x0, 0xB):
            self.stored[uid] += 1
            self.classes[uid] = event.request.AffectedSOPClassUID
            self.comments[uid] = str(event.dataset.get("ImageComments", ""))
        return status

    def _note_connection(self, event) -> None:
        self._connections.append(event.assoc.dul.socket.socket)

    def _find(self, event):
        uid = str(event.identifier.SOPInstanceUID)
        if uid in self.stored:
            yield 0xFF00, event.identifier
        yield 0x0000, None

    def _commit(self, event):
        """Take the request, and report on the same association a little later."""
        self.asked.append(event.action_information)
        if self.reports:
            threading.Timer(0.2, self._report, (event.assoc, event.action_information)).start()
        return 0x0000, None

    def _report(self, association, request):
        association.send_n_event_report(
            self.report_on(request),
            1,
            StorageCommitmentPushModel,
            "1.2.840.10008.1.20.1.1",
        )

    def report_on(self, request) -> Dataset:
        report = Dataset()
        report.TransactionUID = request.TransactionUID
        report.ReferencedSOPSequence, report.FailedSOPSequence = [], []
        for item in request.ReferencedSOPSequence:
            if item.ReferencedSOPInstanceUID in self.stored:
                report.ReferencedSOPSequence.append(item)
            else:
                item.FailureReason = 0x0112
                report.FailedSOPSequence.append(item)
        return report


class Node:
    """The whole node as processes, with the analysis of `analysis.py`."""

    def __init__(self, folder: Path, **sections: dict) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder / "node.log"
        self.environment: dict[str, str] = {}
        self.prefix: list[str] = []
        self.process: subprocess.Popen | None = None
        self.config = folder / "config.yaml"
        settings = {
            "receive": {"host": "127.0.0.1", "port": self.port, "minimum_free_mb": 1},
            "completion": {"series_quiet_s": 30.0, "study_quiet_s": 0.5},
            "storage": {"directory": str(folder / "state")},
            "status": {"port": None},
            **sections,
        }
        self.config.write_text(yaml.safe_dump(settings))

    def start(self) -> "Node":
        command = [sys.executable, str(HERE / "serve.py"), str(self.config)]
        analysis = [sys.executable, str(HERE / "analysis.py")]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, *command, *analysis],
                cwd=ROOT,
                stderr=log,
                stdout=log,
                env={**os.environ, "PYTHONPATH": str(ROOT), **self.environment},
            )
        return self

    def wait_until_ready(self) -> "Node":
        wait_for(lambda: self.said("listening on") and self.said("the worker is ready"), "ready")
        return self

    def said(self, text: str) -> bool:
        return text in self.log.read_text()

    def children(self) -> dict[str, int]:
        """Process ids of receiver and worker, as last started."""
        found = {}
        for line in self.log.read_text().splitlines():
            words = line.split()
            if "runs as process" in line:
                found[words[words.index("runs") - 1]] = int(words[-1])
        return found

    def kill(self, name: str | None = None) -> bool:
        """Kill -9 one child, the analysis, or the supervisor; False where it does not run."""
        assert self.process is not None
        if name == "analysis":
            target = child_of(self.children().get("worker"))
        else:
            target = self.process.pid if name is None else self.children().get(name)
        if target is None:
            return False
        try:
            os.kill(target, signal.SIGKILL)
        except ProcessLookupError:
            return False
        if name is None:
            self.process.wait()
        return True

    def stop(self) -> int:
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise


def child_of(parent: int | None) -> int | None:
    """Process id of a child that runs another program."""
    for folder in Path(f"/proc/{parent}/task").glob("*"):
        with contextlib.suppress(OSError):
            for word in (folder / "children").read_text().split():
                return int(word)
    return None


def wait_for(condition: Callable[[], object], what: str, timeout_s: float = 60.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.05)


def destination(pacs: Pacs, **settings: object) -> dict[str, object]:
    return {
        "name": "pacs",
        "ae_title": "PACS",
        "host": "127.0.0.1",
        "port": pacs.port,
        **settings,
    }


__all__ = ["Node", "Pacs", "destination", "send", "study_of", "threading", "wait_for"]
