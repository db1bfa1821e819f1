"""Studies are fetched from Debian's Orthanc into a running node."""

import io
import socket
import sqlite3

import pytest
import yaml
from pydicom.uid import generate_uid

from node.cli import main
from tests.peers import Node, Pacs, destination, free_port, send, study_of, wait_for


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


def series_of(description, images, seed="partners"):
    """A series of a study, as a scanner would describe it."""
    made = study_of(images, seed=seed)
    for one in made:
        one.SeriesInstanceUID = generate_uid(entropy_srcs=[seed, description])
        one.SOPInstanceUID = generate_uid(entropy_srcs=[seed, description, str(one.InstanceNumber)])
        one.SeriesDescription = description
    return made


@pytest.fixture
def incomplete(own_orthanc, tmp_path):
    """An archive with a whole study, and a node that asks it for what is missing."""
    pacs = Pacs().start()
    nodes = []

    def build(way, held=("stress", "rest", "cine sax", "Motion-compensated stress RESEARCH")):
        port = free_port()
        orthanc = own_orthanc(
            DicomModalities={"node": ["PERFUSION", "127.0.0.1", port]},
            DicomAlwaysAllowFind=True,
            DicomAlwaysAllowMove=True,
            DicomAlwaysAllowGet=True,
        )
        for number, description in enumerate(held, start=4):
            for one in series_of(description, number):
                with io.BytesIO() as buffer:
                    one.save_as(buffer, enforce_file_format=True)
                    orthanc.request("POST", "/instances", buffer.getvalue())
        archive = {
            "name": "orthanc",
            "ae_title": orthanc.ae_title,
            "host": orthanc.host,
            "port": orthanc.dicom_port,
        }
        node = Node(
            tmp_path,
            receive={"host": "127.0.0.1", "port": port, "minimum_free_mb": 1},
            completion={
                "series_quiet_s": 1.0,
                "study_quiet_s": 0.5,
                "fetch_missing_from": "orthanc",
                "fetch_by": way,
            },
            retrieve={"archives": [archive], "timeout_s": 20},
            delivery={"destinations": [destination(pacs)], "first_retry_s": 0.5},
        )
        node.port = port
        nodes.append(node)
        return node.start().wait_until_ready(), orthanc

    yield build, pacs
    for node in nodes:
        node.stop()
    pacs.stop()


@pytest.mark.peer
@pytest.mark.parametrize("way", ["move", "get"])
def test_a_missing_first_pass_is_fetched_before_anything_is_sent(incomplete, way):
    build, pacs = incomplete
    node, _ = build(way)
    send(node.port, series_of("stress", 4))
    wait_for(lambda: len(pacs.stored) == 3, "three results")
    assert set(pacs.comments.values()) == {"9 images"}  # stress and rest, and nothing else
    assert images(node) == 9


@pytest.mark.peer
def test_where_the_archive_has_no_more_or_is_away_the_study_is_sent_as_it_is(incomplete):
    build, pacs = incomplete
    node, orthanc = build("move", held=("stress",))
    send(node.port, series_of("stress", 4))
    wait_for(lambda: len(pacs.stored) == 3, "three results")
    assert node.said("0 images fetched")
    send(node.port, series_of("stress", 5)[4:])  # a late image: the archive is not asked again
    wait_for(lambda: "5 images" in pacs.comments.values(), "results with the late image")
    assert node.log.read_text().count("lacks the other first pass") == 1
    orthanc.stop()
    send(node.port, series_of("stress", 4, seed="away"))
    wait_for(lambda: node.said("cannot be fetched"), "the archive is asked in vain")
    wait_for(lambda: list(pacs.comments.values()).count("4 images") == 6, "three more results")


def test_an_archive_that_says_nothing_keeps_no_other_study_waiting(tmp_path):
    pacs = Pacs().start()
    with socket.create_server(("127.0.0.1", 0), backlog=16) as silent:
        archive = {
            "name": "silent",
            "ae_title": "SILENT",
            "host": "127.0.0.1",
            "port": silent.getsockname()[1],
        }
        node = Node(
            tmp_path,
            completion={
                "series_quiet_s": 1.0,
                "study_quiet_s": 0.5,
                "fetch_missing_from": "silent",
            },
            retrieve={"archives": [archive], "timeout_s": 60},
            delivery={"destinations": [destination(pacs)], "first_retry_s": 0.5},
        )
        try:
            node.start().wait_until_ready()
            for seed in ("one", "two", "three"):  # more than the node asks for at once
                send(node.port, series_of("stress", 4, seed=seed))
            wait_for(lambda: node.log.read_text().count("lacks the other") == 3, "all lack")
            whole = [*series_of("stress", 4, seed="whole"), *series_of("rest", 5, seed="whole")]
            send(node.port, whole)
            wait_for(lambda: len(pacs.stored) == 3, "the results of the whole study")
            assert set(pacs.comments.values()) == {"9 images"}
            silent.close()
            wait_for(lambda: len(pacs.stored) == 12, "the results of the others, as they are")
        finally:
            node.stop()
            pacs.stop()
