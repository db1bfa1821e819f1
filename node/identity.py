"""What names a result, and stays of it when it is deleted: a later one can still replace it."""

from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset

from node.disk import flush, save_whole

_ATTRIBUTES = ("SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "ImageType", "Rows")
_LARGEST_BYTES = 1024
"""Smaller than any result."""


def read_identity(path: Path) -> Dataset:
    """Read the identifying attributes of a result, whether it is whole or shrunk to them."""
    return dcmread(path, specific_tags=list(_ATTRIBUTES), stop_before_pixels=True)


def shrink_to_identity(path: Path) -> None:
    """Delete all of a result but its identity; may be repeated."""
    if path.stat().st_size <= _LARGEST_BYTES:
        return
    whole = read_identity(path)
    identity = Dataset()
    identity.file_meta = whole.file_meta
    for keyword in _ATTRIBUTES:
        if keyword in whole:
            identity[keyword] = whole[keyword]
    save_whole(identity, path)  # or a power cut could leave an empty file in the place of it
    flush(path.parent)
