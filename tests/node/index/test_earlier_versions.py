"""Indexes as earlier versions of this program made them, by the SQL that those ran.

Version 1 begins with the commit that wrote versions down; those before are told by their columns.
"""

import sqlite3

import pytest

from node.config import Storage
from node.index import jobs, ledger
from node.index.holdings import open_studies, snapshot
from node.index.jobs import JobState
from node.index.tables import open_index
from tests.raw_sender import SUCCESS, LostError, RawSender, ReceiverProcess, mr_data_set

STUDY = "1.2.826.0.1.4"

CONFLICT = """
CREATE TABLE conflict (
    file VARCHAR(80) NOT NULL, sop_instance_uid VARCHAR(64) NOT NULL,
    study_uid VARCHAR(64) NOT NULL, sha256 VARCHAR(64) NOT NULL, calling_ae VARCHAR(16) NOT NULL,
    received_s FLOAT NOT NULL, PRIMARY KEY (file)
);
CREATE INDEX ix_conflict_sop_instance_uid ON conflict (sop_instance_uid);
"""
INSTANCE = """
CREATE TABLE instance (
    sop_instance_uid VARCHAR(64) NOT NULL, study_uid VARCHAR(64) NOT NULL,
    series_uid VARCHAR(64) NOT NULL, sop_class_uid VARCHAR(64) NOT NULL,
    transfer_syntax_uid VARCHAR(64) NOT NULL, file VARCHAR(80) NOT NULL,
    size_bytes BIGINT NOT NULL, sha256 VARCHAR(64) NOT NULL, modality VARCHAR(16) NOT NULL,
    expected_images INTEGER, calling_ae VARCHAR(16) NOT NULL, received_s FLOAT NOT NULL,
    revision INTEGER NOT NULL, PRIMARY KEY (sop_instance_uid),
    FOREIGN KEY(study_uid) REFERENCES study (study_uid), UNIQUE (file)
);
CREATE INDEX instance_by_series ON instance (study_uid, series_uid);
"""
JOB_AND_RESULT = """
CREATE TABLE job (
    study_uid VARCHAR(64) NOT NULL, revision INTEGER NOT NULL, state VARCHAR(16) NOT NULL,
    attempt INTEGER NOT NULL, next_try_s FLOAT NOT NULL, verdict VARCHAR(16) NOT NULL,
    reason TEXT NOT NULL, created_s FLOAT NOT NULL, changed_s FLOAT NOT NULL,
    PRIMARY KEY (study_uid, revision)
);
CREATE INDEX ix_job_state ON job (state);
CREATE TABLE result (
    study_uid VARCHAR(64) NOT NULL, revision INTEGER NOT NULL,
    sop_instance_uid VARCHAR(64) NOT NULL, sop_class_uid VARCHAR(64) NOT NULL,
    kind VARCHAR(32) NOT NULL, file TEXT NOT NULL,
    PRIMARY KEY (study_uid, revision, sop_instance_uid)
);
"""
DELIVERY = """
CREATE TABLE delivery (
    sop_instance_uid VARCHAR(64) NOT NULL, destination VARCHAR(32) NOT NULL,
    study_uid VARCHAR(64) NOT NULL, revision INTEGER NOT NULL, sop_class_uid VARCHAR(64) NOT NULL,
    kind VARCHAR(32) NOT NULL, file TEXT NOT NULL, state VARCHAR(16) NOT NULL,
    attempts INTEGER NOT NULL, created_s FLOAT NOT NULL, next_try_s FLOAT NOT NULL,
    status INTEGER, reason TEXT NOT NULL, changed_s FLOAT NOT NULL,{more}
    PRIMARY KEY (sop_instance_uid, destination)
);
CREATE INDEX ix_delivery_state ON delivery (state);
CREATE INDEX ix_delivery_study_uid ON delivery (study_uid);
"""
STUDY_TABLE = """
CREATE TABLE study (
    study_uid VARCHAR(64) NOT NULL, first_s FLOAT NOT NULL,{more} revision INTEGER NOT NULL,
    frozen INTEGER NOT NULL, PRIMARY KEY (study_uid)
);
"""
COMMITMENT = """
CREATE TABLE commitment (
    transaction_uid VARCHAR(64) NOT NULL, calling_ae VARCHAR(16) NOT NULL,
    instances TEXT NOT NULL, received_s FLOAT NOT NULL, attempts INTEGER NOT NULL,
    next_try_s FLOAT, told BOOLEAN NOT NULL, PRIMARY KEY (transaction_uid, calling_ae)
);
CREATE INDEX ix_commitment_next_try_s ON commitment (next_try_s);
"""
CONFIRMING = """
    confirmation VARCHAR(12) NOT NULL, questions INTEGER NOT NULL, transaction_uid VARCHAR(64),"""

FIRST = CONFLICT + STUDY_TABLE.format(more=" last_s FLOAT NOT NULL,") + INSTANCE  # 41f83b3
FIRST_STUDY = (
    "INSERT INTO study SELECT study_uid, first_s, 9.0, revision, frozen FROM present.study"
)
WITHOUT_CONFIRMATION = (  # 59744e9
    COMMITMENT + CONFLICT + DELIVERY.format(more="") + JOB_AND_RESULT
    + STUDY_TABLE.format(more="") + INSTANCE
)  # fmt: skip
WITHOUT_DELETION = (  # 0279675, the first that is upgraded in place
    COMMITMENT + CONFLICT + DELIVERY.format(more=CONFIRMING)
    + "CREATE INDEX ix_delivery_transaction_uid ON delivery (transaction_uid);"
    + JOB_AND_RESULT + STUDY_TABLE.format(more="") + INSTANCE
)  # fmt: skip


@pytest.fixture
def receiver(tmp_path):
    process = ReceiverProcess(tmp_path)
    yield process
    process.stop()


@pytest.fixture
def sent(receiver):
    """Have six images kept, by the present version; gives them."""
    images = [mr_data_set(STUDY, f"{STUDY}.1", number) for number in range(6)]
    receiver.start()
    assert store(receiver, images) == [SUCCESS] * 6
    receiver.stop()
    return images


def store(receiver, images) -> list[int]:
    with RawSender(receiver.port) as sender:
        answers = [sender.store(*image) for image in images]
        sender.release()
    return answers


def as_made_by(tables: str, receiver, *more: str) -> dict[str, list[tuple]]:
    """Put the rows of the index into tables of an earlier version; gives what is there then."""
    new, old = receiver.storage / "index.sqlite", receiver.storage / "earlier.sqlite"
    connection = sqlite3.connect(old, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.executescript(tables)
    connection.execute("ATTACH ? AS present", (str(new),))
    connection.execute(
        FIRST_STUDY if tables == FIRST else "INSERT INTO study SELECT * FROM present.study"
    )
    connection.execute("INSERT INTO instance SELECT * FROM present.instance")
    connection.execute("DETACH present")
    for statement in more:
        connection.execute(statement)
    connection.close()
    for file in receiver.storage.glob("index.sqlite*"):
        file.unlink()
    old.rename(new)
    return content(receiver)


def content(receiver) -> dict[str, list[tuple]]:
    connection = sqlite3.connect(receiver.storage / "index.sqlite")
    names = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
    rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for (name,) in names}  # noqa: S608  our own names
    connection.close()
    return rows


def test_an_index_from_before_deletions_goes_on_with_all_that_is_in_it(receiver, sent):
    before = as_made_by(
        WITHOUT_DELETION,
        receiver,
        "INSERT INTO study VALUES ('1.2.9', 1.0, 1, 1)",
        "INSERT INTO job VALUES ('1.2.9', 1, 'done', 0, 1.0, 'analysed', '', 1.0, 2.0)",
        "INSERT INTO result VALUES ('1.2.9', 1, '2.25.1', '1.2.3', 'report', 'a/b.dcm')",
        "INSERT INTO delivery VALUES ('2.25.1', 'pacs', '1.2.9', 1, '1.2.3', 'report', "
        "'a/b.dcm', 'pending', 3, 1.0, 5.0, 42752, 'away', 2.0, '', 0, NULL)",
        "INSERT INTO commitment VALUES ('1.2.9', 'SCANNER', '[]', 1.0, 0, NULL, 1)",
    )
    receiver.start()
    late = mr_data_set(STUDY, f"{STUDY}.1", 6)
    assert store(receiver, [*sent, late]) == [SUCCESS] * 7
    receiver.stop()
    after = content(receiver)
    assert after.pop("schema_version") == [(1,)]
    assert {name: rows for name, rows in after.items() if name in before} == before | {
        "instance": after["instance"]
    }
    assert after["instance"][:6] == before["instance"]
    assert len(after["instance"]) == 7
    index = open_index(Storage(directory=receiver.storage))
    (job,) = jobs.jobs(index)
    (delivery,) = ledger.study_deliveries(index, "1.2.9")
    (study,) = open_studies(index, 1e12)
    index.dispose()
    assert (job.state, delivery.state, delivery.attempts) == (JobState.DONE, "pending", 3)
    assert study.series[0].received == 7


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        (FIRST, "demands last_s in its table study"),
        (WITHOUT_CONFIRMATION, "lacks confirmation, questions, transaction_uid"),
    ],
)
def test_an_index_that_cannot_be_upgraded_is_refused_untouched_and_its_images_are_taken_again(
    receiver, sent, tables, said
):
    before = as_made_by(tables, receiver)
    with pytest.raises(LostError) as refused:
        receiver.start()
    assert said in str(refused.value)
    assert "Move index.sqlite, -wal and -shm away and start" in str(refused.value)
    assert content(receiver) == before
    for file in receiver.storage.glob("index.sqlite*"):  # as it was told
        file.rename(receiver.storage / f"earlier-{file.name}")
    receiver.start()
    assert store(receiver, sent) == [SUCCESS] * 6  # duplicates
    receiver.stop()
    assert {row[5] for row in before["instance"]} == {
        row[5] for row in content(receiver)["instance"]
    }
    index = open_index(Storage(directory=receiver.storage))
    assert len(snapshot(index, STUDY, 1)) == 6
    index.dispose()
