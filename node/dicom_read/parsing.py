"""Files to data sets, with or without a preamble."""

from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from node.dicom_read.header import Header

_DEFER_BYTES = 4096
"""Longer values (pixel data, Siemens' private headers) stay on disk until they are asked for."""
_FIRST_GROUPS = (b"\x02\x00\x00\x00", b"\x08\x00\x05\x00", b"\x08\x00\x08\x00", b"\x08\x00\x16\x00")
"""File meta group length; character set, image type, SOP class: how a data set may begin."""


def parse(path: Path) -> Dataset:
    """Parse the header; long values stay on disk.

    Raises
    ------
    InvalidDicomError
        The file has no preamble, and does not begin as a data set does either.
    """
    try:
        dataset = pydicom.dcmread(path, defer_size=_DEFER_BYTES)
    except InvalidDicomError:
        with path.open("rb") as file:
            if file.read(4) not in _FIRST_GROUPS:
                raise
        return _without_preamble(path)
    if Header(dataset.file_meta).value("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        return pydicom.dcmread(path)  # inflated in memory: nothing on disk to come back to
    return dataset


def _without_preamble(path: Path) -> Dataset:
    """Parse a bare data set, as some archives export it."""
    dataset = pydicom.dcmread(path, defer_size=_DEFER_BYTES, force=True)
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, _ = dataset.original_encoding
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = syntax
    return dataset
