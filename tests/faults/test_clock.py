"""A clock that was ten days fast is set right while work waits: it is done at once, and once.

The clock of this machine is left alone: it is the times that the node wrote which move.
"""

import sqlite3
from pathlib import Path

import pytest

from tests.peers import send, study_of, wait_for

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket")

TEN_DAYS_S = 10 * 86400


def were_written_ten_days_later(database: Path) -> int:
    """Move every time in a database, in seconds or milliseconds; counts the columns."""
    connection = sqlite3.connect(database, isolation_level=None)
    moved = 0
    for (table,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'"):
        columns = connection.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall()
        for (column,) in columns:
            shift = TEN_DAYS_S * (1000 if database.name == "engine.sqlite" else 1)
            if column.endswith(("_s", "_ms", "_at")):
                connection.execute(
                    f"UPDATE {table} SET {column} = {column} + ? WHERE typeof({column}) != 'text'",  # noqa: S608  names from the database itself
                    (shift,),
                )
                moved += 1
    connection.close()
    return moved


def test_studies_and_deliveries_that_wait_for_a_time_far_away_go_on(make_node, pacs, tmp_path):
    node = make_node(completion={"series_quiet_s": 6.0, "study_quiet_s": 0.5})
    pacs.stop()
    node.start().wait_until_ready()
    send(node.port, study_of(6, seed="analysed"))
    wait_for(lambda: node.said("to pacs: pending"), "a delivery that waits")
    part = study_of(6, seed="on its way")[:4]
    send(node.port, part)
    node.stop()
    assert not node.said("4 images")
    assert were_written_ten_days_later(tmp_path / "state" / "index.sqlite") > 10
    assert were_written_ten_days_later(tmp_path / "state" / "engine.sqlite") > 5
    pacs.start()
    node.start()
    wait_for(lambda: len(pacs.stored) == 6, "the results of both studies")
    assert node.said("the clock was set back")
    assert set(pacs.stored.values()) == {1}
    assert sorted(set(pacs.comments.values())) == ["4 images", "6 images"]
