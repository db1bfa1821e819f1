"""A power cut: what a process has flushed is kept, and nothing else."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "faults" / "powercut.c"


class Power:
    """Follows the processes that are run in its environment, and shows what a cut leaves."""

    def __init__(self, library: Path, folder: Path) -> None:
        self._shadow, self._disk = folder / "shadow", folder / "disk"
        (self._shadow / "files").mkdir(parents=True)
        (self._shadow / "folders").mkdir()
        self.environment = {
            **os.environ,
            "LD_PRELOAD": str(library),
            "POWERCUT_SHADOW": str(self._shadow),
        }

    def disk_of(self, folder: Path) -> Path:
        """Rebuild a folder as a disk would show it: flushed names, flushed contents."""
        self._rebuild(folder.stat().st_ino, self._disk)
        return self._disk

    def _rebuild(self, inode: int, target: Path) -> None:
        target.mkdir()
        listing = self._shadow / "folders" / str(inode)
        for line in listing.read_text().splitlines() if listing.exists() else []:
            number, kind, name = line.split(" ", 2)
            if kind == "d":
                self._rebuild(int(number), target / name)
            elif (self._shadow / "files" / number).exists():
                shutil.copyfile(self._shadow / "files" / number, target / name)
            else:
                (target / name).touch()  # a name without flushed content


@pytest.fixture(scope="session")
def powercut(tmp_path_factory):
    """Give the preloaded library that keeps only what was flushed."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: install Debian's gcc")
    library = tmp_path_factory.mktemp("powercut") / "powercut.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-Wall", "-o", library, SOURCE, "-ldl"], check=True
    )
    return library


@pytest.fixture
def power(powercut, tmp_path_factory):
    """Give the power of one test."""
    return Power(powercut, tmp_path_factory.mktemp("power"))
