"""Files that survive a power cut, or are not there."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom.dataset import Dataset  # every command reads this file, few need an object


def flush(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder and its parents, each name brought to the disk; may be repeated."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    folder.mkdir(mode=0o750, exist_ok=True)
    flush(folder.parent)


def save_whole(dataset: "Dataset", path: Path) -> None:
    """Write an object, which has its name only when it is complete and on disk.

    The name itself is durable when the folder is flushed.
    """
    part = path.with_suffix(".part")
    try:
        with part.open("wb") as file:
            dataset.save_as(file, enforce_file_format=True)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    part.replace(path)
