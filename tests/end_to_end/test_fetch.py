"""Studies are fetched from Debian's Orthanc into a running node."""

import io
import sqlite3

import pytest
import yaml

from node.cli import main
from tests.peers import Node, free_port, study_of


@pytest.fixture
def archive(own_orthanc, tmp_path):
    """An Orthanc with two studies, and a node that it knows."""
    node = Node(tmp_path)
    orthanc = own_orthanc(
        DicomModalities={"node": ["PERFUSION", "127.0.0.1", node.port]},
        DicomAlwaysAllowFind=True,
        DicomAlwaysAllowMove=True,
        DicomAlwaysAllowGet=True,
    )
    for seed, images in (("wanted", 7), ("other", 3)):
        for one in study_of(images, seed=seed):
            one.AccessionNumber = f"ACC-{seed}"
            with io.BytesIO() as buffer:
                one.save_as(buffer, enforce_file_format=True)
                orthanc.request("POST", "/instances", buffer.getvalue())
    settings = yaml.safe_load(node.config.read_text())
    known = {
        "name": "orthanc",
        "ae_title": orthanc.ae_title,
        "host": orthanc.host,
        "port": orthanc.dicom_port,
    }
    unknown = {**known, "name": "away", "port": free_port()}
    settings["retrieve"] = {"archives": [known, unknown], "timeout_s": 20}
    node.config.write_text(yaml.safe_dump(settings))
    yield node
    if node.process is not None:
        node.stop()


def images(node) -> int:
    connection = sqlite3.connect(node.folder / "state" / "index.sqlite")
    (number,) = connection.execute("SELECT count(*) FROM instance").fetchone()
    connection.close()
    return number


def fetch(node, *words) -> int:
    return main(["fetch", "--config", str(node.config), *words])


@pytest.mark.peer
def test_a_study_comes_by_move_and_by_get_and_is_kept_once(archive, capsys):
    archive.start().wait_until_ready()
    assert fetch(archive, "--from", "orthanc", "--accession", "ACC-wanted") == 0
    assert "7 images" in capsys.readouterr().out
    assert images(archive) == 7
    other = str(study_of(1, seed="other")[0].StudyInstanceUID)
    assert fetch(archive, "--from", "orthanc", "--study", other, "--by", "get") == 0
    assert fetch(archive, "--from", "orthanc", "--accession", "ACC-wanted", "--by", "get") == 0
    assert images(archive) == 10
    assert fetch(archive, "--from", "orthanc", "--accession", "NONE") == 3


@pytest.mark.peer
@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket")
def test_what_cannot_be_fetched_is_said(archive, capsys):
    assert fetch(archive, "--from", "nobody", "--accession", "A") == 2
    assert fetch(archive, "--from", "away", "--accession", "A") == 1
    assert "cannot be asked" in capsys.readouterr().err
