"""Result objects to files: whole or not at all, under names that carry nothing of the patient."""

import os
from collections.abc import Sequence
from pathlib import Path

from pydicom.dataset import Dataset

from node.errors import EncodingError


def write_results(datasets: Sequence[Dataset], directory: Path) -> list[Path]:
    """Write each object as ``NNNN_MODALITY_UID.dcm``, in the order given.

    A file appears under its name only when it is complete and on disk; writing the same results
    again replaces the files by the same bytes.

    Raises
    ------
    EncodingError
        An object cannot be written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, dataset in enumerate(datasets, start=1):
        path = directory / f"{number:04d}_{dataset.Modality}_{dataset.SOPInstanceUID}.dcm"
        _write(dataset, path)
        paths.append(path)
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return paths


def _write(dataset: Dataset, path: Path) -> None:
    unfinished = path.with_suffix(".part")
    try:
        with unfinished.open("wb") as file:
            dataset.save_as(file, enforce_file_format=True)
            file.flush()
            os.fsync(file.fileno())
    except (ValueError, TypeError, AttributeError) as error:
        unfinished.unlink(missing_ok=True)
        raise EncodingError(f"cannot write object {path.name} ({type(error).__name__})") from error
    unfinished.replace(path)
