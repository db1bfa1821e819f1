"""An index that another version made: brought up to date, or refused in words."""

import hashlib

import pytest
import sqlalchemy as sa
from sqlalchemy.schema import CreateTable

# All modules that have tables.
from node.config import Storage
from node.errors import IndexUnusableError
from node.index import (
    commitments,  # noqa: F401
    confirmations,  # noqa: F401
    entry,  # noqa: F401
    fetches,  # noqa: F401
    jobs,  # noqa: F401
    ledger,  # noqa: F401
    retirement,  # noqa: F401
    schema,
)
from node.index.tables import METADATA, open_index, reading

DIGESTS = {
    "study": "29f53068",
    "instance": "96084086",
    "conflict": "10005e0b",
    "commitment": "70698b19",
    "delivery": "440116ce",
    "result": "016180fb",
    "job": "56b6bd12",
    "doomed": "50bb297f",
    "retired": "af576f3f",
    "fetch": "661dce1d",
}
"""Of the tables, as the present version makes them."""


@pytest.fixture
def storage(tmp_path):
    return Storage(directory=tmp_path)


def change(storage, *statements):
    engine = open_index(storage)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    engine.dispose()


def version(storage):
    engine = sa.create_engine(f"sqlite:///{storage.directory}/index.sqlite")
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SELECT version FROM schema_version").scalars().all()
    engine.dispose()
    return found


def study_of(storage):
    engine = open_index(storage)
    with reading(engine) as connection:
        found = connection.exec_driver_sql("SELECT * FROM study").mappings().all()
    engine.dispose()
    return [dict(row) for row in found]


STUDY = "INSERT INTO study VALUES ('1.2', 0.0, 1, 0)"


def test_no_table_changes_without_a_step_for_those_who_have_it():
    """Whoever changes a table writes a step, counts VERSION up and enters the new digest above."""
    now = {
        name: hashlib.sha256(str(CreateTable(table)).encode()).hexdigest()[:8]
        for name, table in METADATA.tables.items()
    }
    assert now == DIGESTS
    assert set(schema.STEPS) == set(range(2, schema.VERSION + 1))


def test_a_new_index_says_its_version_once(storage):
    for _ in range(3):
        open_index(storage).dispose()
    assert version(storage) == [schema.VERSION]


def test_an_index_from_before_versions_were_written_is_version_1(storage):
    change(storage, STUDY, "DROP TABLE schema_version")
    assert [row["study_uid"] for row in study_of(storage)] == ["1.2"]
    assert version(storage) == [schema.VERSION]


def test_an_older_index_is_upgraded_in_place_with_all_that_is_in_it(storage, monkeypatch):
    change(storage, STUDY)
    steps = {
        schema.VERSION + 1: ["ALTER TABLE study ADD COLUMN ward VARCHAR(16)"],
        schema.VERSION + 2: ["UPDATE study SET ward = 'none'"],
    }
    monkeypatch.setattr(schema, "STEPS", {**schema.STEPS, **steps})
    monkeypatch.setattr(schema, "VERSION", schema.VERSION + 2)
    assert [(row["study_uid"], row["ward"]) for row in study_of(storage)] == [("1.2", "none")]
    assert version(storage) == [schema.VERSION]


def test_an_upgrade_that_fails_changes_nothing_and_is_said(storage, monkeypatch):
    change(storage, STUDY)
    steps = [
        "ALTER TABLE study ADD COLUMN ward VARCHAR(16)",
        "INSERT INTO study VALUES ('1.2', 0.0, 1, 0, 'twice')",
    ]
    with monkeypatch.context() as newer:
        newer.setattr(schema, "STEPS", {**schema.STEPS, schema.VERSION + 1: steps})
        newer.setattr(schema, "VERSION", schema.VERSION + 1)
        with pytest.raises(IndexUnusableError, match="restore it from a backup"):
            open_index(storage)
    assert [sorted(row) for row in study_of(storage)] == [
        ["first_s", "frozen", "revision", "study_uid"]
    ]


def test_an_index_of_a_newer_version_is_refused_with_the_way_back(storage):
    change(storage, "UPDATE schema_version SET version = 1000")
    with pytest.raises(IndexUnusableError, match=r"version 1000.*newer.*backup"):
        open_index(storage)
    assert version(storage) == [1000]


def test_an_index_without_a_column_is_refused_with_the_way_out(storage):
    change(storage, "ALTER TABLE conflict DROP COLUMN calling_ae")
    with pytest.raises(IndexUnusableError, match=r"lacks calling_ae in its table conflict.*spool"):
        open_index(storage)


def test_an_index_that_a_table_lacks_is_made(storage):
    change(storage, "DROP INDEX delivery_to_confirm")
    engine = open_index(storage)
    found = {one["name"] for one in sa.inspect(engine).get_indexes("delivery")}
    engine.dispose()
    assert found == {one.name for one in METADATA.tables["delivery"].indexes}
