"""Whatever goes wrong with a header, what it holds is not in the log."""

import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from pydicom import config

from node.errors import NodeError
from node.log_setup import kind_and_place
from tests.node.instances import Series

ROOT = Path(__file__).parents[2]
NAME = "Sekretowski"


def errors_of(*command, code=1):
    ended = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert ended.returncode == code, ended.stderr
    return ended.stderr


@pytest.fixture
def wrong_header(tmp_path, monkeypatch):
    """The folder of a study whose headers are wrong wherever somebody is named."""
    monkeypatch.setattr(config.settings, "writing_validation_mode", config.IGNORE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for number, dataset in enumerate(Series(slices=1, frames=3).datasets()):
            dataset.PatientName = f"{NAME}^a^b^c^d^e^f=x=y=z"
            dataset.PatientBirthDate = NAME
            dataset.SpecificCharacterSet = f"ISO_IR 999 {NAME}"
            dataset.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
    return tmp_path


def test_a_header_that_libraries_complain_about_is_not_quoted(wrong_header, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    words = errors_of("-m", "node", "process", wrong_header, "--out", out, code=3)
    assert NAME not in words
    assert "Warning" not in words
    assert list(out.glob("*.dcm"))


IN_A_THREAD = """\
def fail(error=broken):
    raise ValueError(name) from error
  threading.Thread(target=fail).start()
  exit(1)"""


@pytest.mark.parametrize(
    "end",
    [
        "raise ValueError(name) from broken",
        "logging.exception('a sweep failed'); exit(1)",
        IN_A_THREAD,
    ],
)
def test_an_error_that_nobody_foresaw_is_told_by_its_kind_and_place(end):
    words = errors_of(
        "-c",
        "import logging, threading, node.log_setup as own; own.set_up_logging('INFO')\n"
        f"name = 'Sekret' + 'owski'\ntry:\n  {{}}[name]\nexcept KeyError as broken:\n  {end}",
    )
    assert NAME not in words
    assert "KeyError" in words
    assert "line 4" in words


def test_our_own_words_and_those_of_the_system_are_told():
    def fail():
        raise FileNotFoundError(2, "No such file or directory", NAME)

    try:
        try:
            fail()
        except OSError as error:
            raise NodeError("the disk is away") from error
    except NodeError as error:
        first, second = kind_and_place(error).split("FileNotFoundError: ")
    assert second.startswith("No such file or directory\n")
    assert second.endswith("NodeError: the disk is away")
    assert NAME not in first + second
