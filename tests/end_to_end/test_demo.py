"""The demonstration: both kinds of PACS and sender, and the whole loop once."""

import shutil

import pydicom
import pytest

from node.cli import main
from node.demo.pacs import HOST, running_pacs
from node.demo.sender import send
from node.demo.show import missing_objects
from node.errors import NodeError
from tests.peers import study_of

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket")


@pytest.fixture
def files(tmp_path):
    paths = []
    for number, dataset in enumerate(study_of(3, seed="demo")):
        paths.append(tmp_path / f"{number}.dcm")
        dataset.save_as(paths[-1], enforce_file_format=True)
    return paths


@pytest.fixture
def without_programs(monkeypatch):
    """A machine on which neither Orthanc nor DCMTK is installed."""
    monkeypatch.setattr(shutil, "which", lambda _: None)


@pytest.mark.usefixtures("without_programs")
def test_without_orthanc_and_dcmtk_the_demonstration_has_a_pacs_and_a_sender(tmp_path, files):
    with running_pacs(tmp_path / "pacs") as pacs:
        sender = send(files, host=HOST, port=pacs.port, called_ae=pacs.ae_title)
        held = {one.SOPInstanceUID for one in pacs.instances()}
    assert sender == "pynetdicom"
    assert "of our own" in pacs.name
    assert held == {pydicom.dcmread(file).SOPInstanceUID for file in files}


def test_orthanc_gives_back_what_dcmtk_sent(tmp_path, files, program):
    program("Orthanc")
    program("dcmsend")
    with running_pacs(tmp_path / "pacs") as pacs:
        sender = send(files, host=HOST, port=pacs.port, called_ae=pacs.ae_title)
        held = {one.SOPInstanceUID for one in pacs.instances()}
    assert (sender, pacs.name[:7]) == ("DCMTK dcmsend", "Orthanc")
    assert held == {pydicom.dcmread(file).SOPInstanceUID for file in files}


@pytest.mark.usefixtures("without_programs")
def test_a_sender_that_is_not_answered_says_so(files):
    with pytest.raises(NodeError, match="no association"):
        send(files, host=HOST, port=9, called_ae="NOBODY")


def test_what_did_not_arrive_is_named():
    missing = missing_objects([])
    assert {"Segmentations", "Parametric Maps", "MBF rest", "MPR"} <= set(missing)


@pytest.mark.timeout(900)
def test_the_whole_loop_brings_numbers_and_pictures_back_from_a_pacs(tmp_path, capsys):
    assert main(["demo", "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "16 apical lateral" in printed
    assert len(list((tmp_path / "out").glob("page-*.png"))) > 3
