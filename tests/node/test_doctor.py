import psycopg
import pytest
from pydicom.uid import (
    KeyObjectSelectionDocumentStorage,
    MRImageStorage,
    SecondaryCaptureImageStorage,
)
from pynetdicom.sop_class import Verification

from node.cli import main
from node.config import Storage
from node.index.tables import open_index
from node.query_scu import FIND, GET, MOVE
from tests.peers import Pacs, free_port


@pytest.fixture
def doctor(tmp_path, capsys):
    """Run the doctor on a node with one destination; returns its exit code and words."""
    pacs = []

    def examine(peer: Pacs, directory="state", more="", storage=""):
        pacs.append(peer)
        (tmp_path / "state").mkdir(exist_ok=True)
        config = tmp_path / "config.yaml"
        config.write_text(
            f"storage:\n  directory: {tmp_path / directory}\n  {storage}\n"
            "receive: {minimum_free_mb: 0}\n"
            "delivery:\n  timeout_s: 2\n  destinations:\n"
            f"    - {{name: pacs, ae_title: PACS, host: 127.0.0.1, port: {peer.port}}}\n"
            f"{more}"
        )
        return main(["doctor", "--config", str(config)]), capsys.readouterr().out

    yield examine
    for peer in pacs:
        peer.stop()


def test_a_pacs_that_takes_everything_is_found_sound(doctor):
    code, words = doctor(Pacs().start())
    assert code == 0
    assert "C-ECHO answered" in words
    assert "accepts Parametric Map Storage" in words
    assert "BAD" not in words


POOR = [Verification, MRImageStorage, SecondaryCaptureImageStorage]


def test_what_stands_in_for_an_object_is_said(doctor):
    code, words = doctor(Pacs(contexts=[*POOR, KeyObjectSelectionDocumentStorage]).start())
    assert code == 0
    assert "does not accept Parametric Map Storage; mbf-mr stands in for it" in words
    assert "does not accept Segmentation Storage; pictures stands in for it" in words


def test_only_what_is_made_is_asked_about(doctor):
    code, words = doctor(Pacs().start(), more="results: {objects: [report, pdf]}\n")
    assert code == 0
    assert "report: accepts" in words
    assert "pdf: accepts Encapsulated PDF Storage" in words
    assert "parametric-map" not in words


def test_a_pacs_that_knows_no_rejection_notes_is_told_apart(doctor):
    code, words = doctor(Pacs(contexts=POOR).start())
    assert code == 1
    assert "set results.superseding to statement" in words


def test_what_cannot_be_delivered_at_all_is_bad(doctor):
    code, words = doctor(Pacs(contexts=[Verification]).start())
    assert code == 1
    assert "nothing stands in" in words


@pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket")
def test_a_pacs_that_is_away_is_bad(doctor):
    code, words = doctor(Pacs())
    assert code == 1
    assert "no connection" in words


def test_a_missing_storage_directory_is_bad(doctor):
    code, words = doctor(Pacs().start(), directory="absent")
    assert code == 1
    assert "storage directory does not exist" in words


def test_a_damaged_database_is_bad_and_the_repair_is_said(doctor, tmp_path):
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "engine.sqlite").write_bytes(b"no database at all" * 1000)
    code, words = doctor(Pacs().start())
    assert code == 1
    assert "move it away" in words


@pytest.mark.parametrize(
    ("offered", "code", "words"),
    [
        ((FIND, MOVE), 0, "ok   offers C-FIND and C-MOVE"),
        ((FIND,), 1, "offers C-FIND; nothing can be fetched without C-MOVE or C-GET"),
        ((GET,), 1, "offers C-GET; nothing can be fetched without C-FIND"),
        (
            (Verification,),
            1,
            "offers none of our services; nothing can be fetched without C-FIND and",
        ),
    ],
)
def test_an_archive_says_whether_anything_can_be_fetched(doctor, offered, code, words):
    archive = Pacs(contexts=offered).start()
    at = f"{{name: vna, ae_title: VNA, host: 127.0.0.1, port: {archive.port}}}"
    found = doctor(Pacs().start(), more=f"retrieve: {{archives: [{at}]}}\n")
    archive.stop()
    assert words in found[1]
    assert found[0] == code


@pytest.fixture
def on_server(doctor, postgresql):
    """Run the doctor on a node whose database is on a server; as a user other than its owner."""
    with psycopg.connect(postgresql.replace("+psycopg", ""), autocommit=True) as owner:
        owner.execute("CREATE USER node; GRANT CREATE ON SCHEMA public TO node")

        def examine(*statements: str, url: str = postgresql.replace("postgres@", "node@")):
            for statement in statements:
                owner.execute(statement)
            code, words = doctor(Pacs().start(), storage=f"database_url: {url}")
            return code, next(line for line in words.splitlines() if "postgresql" in line)

        yield examine


def test_a_sound_server_is_found_sound_before_and_after_the_first_start(on_server, postgresql):
    assert on_server()[0] == 0
    open_index(Storage(database_url=postgresql.replace("postgres@", "node@"))).dispose()
    code, words = on_server()
    assert code == 0
    assert words.endswith(": ok")


def test_a_server_without_rights_or_only_to_read_or_newer_or_away_is_bad(on_server, postgresql):
    code, words = on_server("REVOKE CREATE ON SCHEMA public FROM node")
    assert (code, "no right to make tables" in words) == (1, True)
    open_index(Storage(database_url=postgresql)).dispose()
    code, words = on_server("GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO node")
    assert (code, "no right to write to" in words) == (1, True)
    code, words = on_server("ALTER USER node SET default_transaction_read_only TO on")
    assert (code, "name the primary server" in words) == (1, True)
    code, words = on_server(
        "ALTER USER node RESET ALL", "UPDATE schema_version SET version = version + 1"
    )
    assert (code, "made by a newer version" in words) == (1, True)
    away = f"postgresql+psycopg://node:Secret@127.0.0.1:{free_port()}/postgres"
    code, words = on_server(url=away)
    assert (code, "start the server" in words, "Secret" in words) == (1, True, False)
