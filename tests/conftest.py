"""What several tests need: the optional real data and the optional real peers."""

import logging
import os
import shutil
from pathlib import Path

import pytest

from node.log_setup import TALKATIVE

pytest_plugins = (
    "tests.certificates",
    "tests.node.orthanc",
    "tests.postgresql",
    "tests.power",
    "tests.serving",
    "tests.workbench",
)


@pytest.fixture(autouse=True)
def logging_as_it_was():
    """Put the root logger back: commands that run inside a test set it up for a whole process."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    quiet = {name: logging.getLogger(name).level for name in TALKATIVE}
    yield
    logging.captureWarnings(capture=False)
    root.setLevel(level)
    root.handlers[:] = handlers
    for name, before in quiet.items():
        logging.getLogger(name).setLevel(before)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data; tests that need it skip where it is absent."""
    default = Path(__file__).parents[2] / "shared" / "data"
    folder = Path(os.environ.get("PERFUSION_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip("real data absent: set PERFUSION_SHARED_DATA to its folder")
    return folder


@pytest.fixture(scope="session")
def network():
    """The network that outlines the heart, with the weights that ship."""
    from node.weights import anatomy_network

    return anatomy_network()


@pytest.fixture
def program():
    """Find a program of Debian's packages by name, or skip and say which package has it."""
    packages = {"dciodvfy": "dicom3tools", "Orthanc": "orthanc", "ip": "iproute2"}

    def find(name: str) -> str:
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"{name} absent: install Debian's {packages.get(name, 'dcmtk')}")
        return found

    return find
