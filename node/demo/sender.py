"""Send DICOM files as a scanner would: with DCMTK where it is installed, else with pynetdicom."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pydicom
from pynetdicom import AE, build_context

from node.errors import NodeError

AE_TITLE = "SCANNER"


def send(files: Sequence[Path], *, host: str, port: int, called_ae: str) -> str:
    """Send `files` by C-STORE and return the name of the program that did it.

    Raises
    ------
    NodeError
        Not every file was acknowledged with Success.
    """
    dcmsend = shutil.which("dcmsend")
    if dcmsend:
        _send_with_dcmtk(dcmsend, files, host, port, called_ae)
        return "DCMTK dcmsend"
    _send_with_pynetdicom(files, host, port, called_ae)
    return "pynetdicom"


def _send_with_dcmtk(
    dcmsend: str, files: Sequence[Path], host: str, port: int, called_ae: str
) -> None:
    command = [dcmsend, "-aet", AE_TITLE, "-aec", called_ae, host, str(port), *map(str, files)]
    # Without TCP_NODELAY DCMTK waits 40 ms in each message on the loopback interface.
    done = subprocess.run(  # noqa: S603  found on the PATH, our own file names
        command, capture_output=True, text=True, check=False, env=os.environ | {"TCP_NODELAY": "1"}
    )
    if done.returncode != 0:
        raise NodeError(f"dcmsend failed with exit code {done.returncode}: {done.stderr[-500:]}")


def _send_with_pynetdicom(files: Sequence[Path], host: str, port: int, called_ae: str) -> None:
    headers = [pydicom.dcmread(file, stop_before_pixels=True) for file in files]
    entity = AE(ae_title=AE_TITLE)
    entity.requested_contexts = [
        build_context(sop_class, syntax)
        for sop_class, syntax in sorted(
            {(h.SOPClassUID, h.file_meta.TransferSyntaxUID) for h in headers}
        )
    ]
    association = entity.associate(host, port, ae_title=called_ae)
    if not association.is_established:
        raise NodeError(f"no association with {called_ae} at {host}:{port}")
    try:
        for number, file in enumerate(files, start=1):
            status = association.send_c_store(file)
            if status.get("Status") != 0:
                raise NodeError(f"file {number} of {len(files)} was not acknowledged: {status}")
    finally:
        association.release()
