"""Result objects to files: whole or not at all, under names that carry nothing of the patient."""

from collections.abc import Sequence
from pathlib import Path

from pydicom.dataset import Dataset

from node.disk import flush, save_whole
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
        try:
            save_whole(dataset, path)
        except (ValueError, TypeError, AttributeError) as error:
            problem = f"cannot write object {path.name} ({type(error).__name__})"
            raise EncodingError(problem) from error
        paths.append(path)
    flush(directory)
    return paths
