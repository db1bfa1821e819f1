"""The node and Debian's Orthanc: results delivered, and confirmed by storage commitment."""

import sqlite3

import pytest

from tests.peers import Node, free_port, send, study_of, wait_for


@pytest.mark.peer
def test_orthanc_commits_to_what_it_got_on_an_association_of_its_own(tmp_path, own_orthanc):
    node_port = free_port()
    orthanc = own_orthanc(DicomModalities={"node": ["PERFUSION", "127.0.0.1", node_port]})
    node = Node(
        tmp_path,
        receive={"host": "127.0.0.1", "port": node_port, "minimum_free_mb": 1},
        delivery={
            "destinations": [
                {
                    "name": "orthanc",
                    "ae_title": orthanc.ae_title,
                    "host": orthanc.host,
                    "port": orthanc.dicom_port,
                    "confirm": "commitment",
                }
            ],
            "first_retry_s": 0.5,
            "confirm_after_s": 0.5,
        },
    )
    node.port = node_port
    node.start().wait_until_ready()
    try:
        send(node_port, study_of(5, seed="orthanc"))
        wait_for(lambda: confirmations(tmp_path) == ["confirmed"] * 3, "three confirmed results")
        assert len(orthanc.files()) == 3
    finally:
        node.stop()


def confirmations(folder) -> list[str]:
    connection = sqlite3.connect(folder / "state" / "index.sqlite")
    rows = connection.execute("SELECT confirmation FROM delivery").fetchall()
    connection.close()
    return [row[0] for row in rows]
