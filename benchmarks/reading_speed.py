"""Prints how long reading a whole study takes, beside plain loops over its files with pydicom.

    python -m benchmarks.reading_speed [--repeats 5] [--keep DIR]

The study is simulated: rest and stress, 3 slices, 80 frames each, 160 x 160: 480 classic images.
Times are processor time of one process, least of the repeats.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pydicom

from node.config import Analysis
from node.dicom_phantom import study_datasets
from node.dicom_read import read_study
from pipeline.phantom import PhantomSettings, simulate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keep", type=Path, help="write the study here, or use the one there")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        files = sorted(folder.glob("*.dcm")) or simulate_study(folder)
        report(files, arguments.repeats)


def simulate_study(folder: Path) -> list[Path]:
    """Write the study."""
    phantom = simulate(1, PhantomSettings(n_slices=3, n_frames=80, matrix=160))
    for number, dataset in enumerate(study_datasets(phantom, "siemens")):
        dataset.save_as(folder / f"{number:04d}.dcm", enforce_file_format=True)
    return sorted(folder.glob("*.dcm"))


def report(files: list[Path], repeats: int) -> None:
    """Measure and print."""
    headers = least(lambda: [pydicom.dcmread(file) for file in files], repeats)
    pixels = least(lambda: [pydicom.dcmread(file).pixel_array for file in files], repeats)
    study = least(lambda: read_study(files, Analysis()), repeats)
    print(f"{len(files)} instances, processor time, least of {repeats}:")
    print(f"  read_study                      {study:6.3f} s")
    print(f"  pydicom.dcmread                 {headers:6.3f} s   ratio {study / headers:4.1f}")
    print(f"  pydicom.dcmread().pixel_array   {pixels:6.3f} s   ratio {study / pixels:4.1f}")


def least(work: Callable[[], object], repeats: int) -> float:
    """Return the least processor time of several runs [s]."""
    seconds = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        seconds.append(time.process_time() - started)
    return min(seconds)


if __name__ == "__main__":
    main()
