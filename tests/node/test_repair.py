"""What is said of a database that cannot be used is what helps."""

import sqlite3

import pytest
import sqlalchemy as sa

from node.config import Storage
from node.engine import Engine, durable
from node.errors import EngineError, IndexUnusableError
from node.index import tables
from node.index.tables import open_index
from tests.peers import free_port

END_THE_STRANGER = "database is locked.*end the program that holds its lock"


@pytest.fixture
def stranger():
    """Lock a database as a backup may; it is let go at the end."""
    holding = []

    def lock(path) -> None:
        holding.append(sqlite3.connect(path, isolation_level=None))
        holding[-1].execute("BEGIN EXCLUSIVE")

    yield lock
    for connection in holding:
        connection.close()


def test_who_finds_the_index_locked_is_not_told_to_restore_a_backup(
    tmp_path, stranger, monkeypatch
):
    monkeypatch.setattr(tables, "_PATIENCE_MS", 10)
    open_index(Storage(directory=tmp_path)).dispose()
    stranger(tmp_path / "index.sqlite")
    with pytest.raises(IndexUnusableError, match=END_THE_STRANGER) as refused:
        open_index(Storage(directory=tmp_path))
    assert "backup;" not in str(refused.value)


def test_who_finds_the_engine_locked_is_not_told_to_move_it_away(tmp_path, stranger, monkeypatch):
    monkeypatch.setattr(durable, "_PATIENCE_S", 0.01)
    stranger(tmp_path / "engine.sqlite")
    engine = Engine(f"sqlite:///{tmp_path}/engine.sqlite", locks=tmp_path / "locks", lanes=[])
    with pytest.raises(EngineError, match=END_THE_STRANGER) as refused:
        engine.launch()
    assert "move" not in str(refused.value)


def test_a_server_that_is_away_is_to_be_started_and_no_password_is_told(tmp_path):
    url = f"postgresql+psycopg://node:Password@127.0.0.1:{free_port()}/node"
    engine = Engine(url, locks=tmp_path / "locks", lanes=[])
    for error, act in (
        (IndexUnusableError, lambda: open_index(Storage(directory=tmp_path, database_url=url))),
        (EngineError, engine.launch),
    ):
        with pytest.raises(error, match=r"\): start the server, or mend storage") as refused:
            act()
        assert "Password" not in str(refused.value)


def test_an_index_without_room_asks_for_room(tmp_path):
    database = sa.create_engine(f"sqlite:///{tmp_path}/index.sqlite")
    with database.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE study (study_uid)")
    database.dispose()

    @sa.event.listens_for(sa.Engine, "connect")
    def _limit(connection, _):
        connection.execute("PRAGMA max_page_count=1")  # which means: as many as there are

    try:
        with pytest.raises(IndexUnusableError, match=r"full\): make room on its disk"):
            open_index(Storage(directory=tmp_path))
    finally:
        sa.event.remove(sa.Engine, "connect", _limit)
