import subprocess

import pytest
from pydicom.dataset import Dataset

from pipeline.result import Finding, Severity
from tests.node.dicom_write.cases import Case, a_case


@pytest.fixture(scope="session")
def case() -> Case:
    """A study with rest and stress, three slices each."""
    return a_case()


@pytest.fixture(scope="session")
def withheld_case() -> Case:
    """The same, with the numbers of rest withheld."""
    return a_case(
        findings=(
            Finding(
                code="input-function-saturated",
                severity=Severity.WITHHOLD,
                sentence="The input function was saturated.",
            ),
        )
    )


@pytest.fixture(scope="session")
def objects(case) -> list[Dataset]:
    """Everything that is encoded for `case`."""
    return case.encode()


@pytest.fixture
def verify(program, tmp_path):
    """Validate an object with dciodvfy and return its complaints."""
    dciodvfy = program("dciodvfy")

    def check(dataset: Dataset) -> list[str]:
        path = tmp_path / "object.dcm"
        dataset.save_as(path, enforce_file_format=True)
        run = subprocess.run([dciodvfy, path], capture_output=True, text=True, check=False)
        return [line for line in run.stderr.splitlines() if line.startswith("Error")]

    return check
