"""A receiver to send to, and small MR instances to send."""

from collections.abc import Callable

import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

from node.audit import AuditTrail
from node.config import Audit, Receive, Storage
from node.index.tables import open_index
from node.receive.commitment import CommitmentDesk
from node.receive.intake import Intake
from node.receive.scp import Scp
from node.spool import Spool


def make_mr_instance(
    number: int = 1, *, study: str = "1.2.826.0.1.1", **changes: object
) -> Dataset:
    """Make one small classic MR image."""
    dataset = Dataset()
    dataset.SOPClassUID = MRImageStorage
    dataset.SOPInstanceUID = f"{study}.7.{number}"
    dataset.Modality = "MR"
    dataset.PatientName = "MARKED^NAME"
    dataset.PatientID = "MARKED-ID"
    dataset.StudyInstanceUID = study
    dataset.SeriesInstanceUID = f"{study}.7"
    dataset.InstanceNumber = number
    dataset.Rows = dataset.Columns = 16
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelData = np.full((16, 16), number, dtype="<u2").tobytes()
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID = generate_uid(entropy_srcs=["tests"])
    return dataset


@pytest.fixture
def mr_instance() -> Callable[..., Dataset]:
    return make_mr_instance


@pytest.fixture
def storage(tmp_path) -> Storage:
    return Storage(directory=tmp_path / "node")


@pytest.fixture
def index(storage):
    engine = open_index(storage)
    yield engine
    engine.dispose()


@pytest.fixture
def spool(storage):
    opened = Spool.open(storage)
    yield opened
    opened.close()


@pytest.fixture
def receiver(storage, index) -> Callable[..., Scp]:
    """Start receivers with the given settings; they are stopped at the end of the test."""
    started: list[tuple[Scp, Intake, Spool]] = []

    def start(*, minimum_free_bytes: int = 0, **settings) -> Scp:
        spool = Spool.open(storage)
        intake = Intake(spool, index, minimum_free_bytes=minimum_free_bytes)
        receive = Receive(host="127.0.0.1", port=0, **settings)
        audit = AuditTrail(Audit(), storage, ae_title=receive.ae_title)
        scp = Scp(receive, intake, CommitmentDesk(spool, index, receive), audit).start()
        started.append((scp, intake, spool))
        return scp

    yield start
    for scp, intake, spool in started:
        scp.stop()
        intake.close()
        spool.close()
