"""The index of what has arrived, on a real SQLite file."""

import contextlib
import functools
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.config import Storage
from node.index import arrivals
from node.index.arrivals import Arrival, Outcome, record
from node.index.checkpoint import checkpoint
from node.index.holdings import (
    find_instances,
    frozen_studies,
    open_studies,
    snapshot,
    study_arrivals,
)
from node.index.recorder import Recorder
from node.index.tables import CONFLICT, INSTANCE, STUDY, open_index, reading


@pytest.fixture
def index(tmp_path):
    engine = open_index(Storage(directory=tmp_path))
    yield engine
    engine.dispose()


def freeze(index, study_uid, revision):
    with index.begin() as connection:
        return arrivals.freeze(connection, study_uid, revision)


def arrival(number: int, **changes) -> Arrival:
    values = {
        "sop_instance_uid": f"1.2.3.{number}",
        "study_uid": "1.2",
        "series_uid": "1.2.3",
        "sop_class_uid": "1.2.840.10008.5.1.4.1.1.4",
        "transfer_syntax_uid": "1.2.840.10008.1.2.1",
        "file": f"instances/{number}.dcm",
        "size_bytes": 1000,
        "sha256": f"{number:064d}",
        "modality": "MR",
        "expected_images": 3,
        "calling_ae": "SCANNER",
        "received_s": 100.0 + number,
    }
    return Arrival(**{**values, **changes})


def test_an_instance_sent_again_is_recorded_once(index):
    assert record(index, [arrival(1)]) == [Outcome.NEW]
    assert record(index, [arrival(1, file="instances/again.dcm")]) == [Outcome.DUPLICATE]
    assert [row.file for row in snapshot(index, "1.2", 1)] == ["instances/1.dcm"]


def test_an_instance_twice_in_one_transaction_is_recorded_once(index):
    pair = [arrival(1), arrival(1, file="instances/again.dcm")]
    assert record(index, pair) == [Outcome.NEW, Outcome.DUPLICATE]


@pytest.mark.parametrize("change", [{"sha256": "f" * 64}, {"transfer_syntax_uid": "1.2.840.1"}])
def test_other_bytes_under_a_known_uid_are_listed_and_never_used(index, change):
    record(index, [arrival(1)])
    assert record(index, [arrival(1, file="instances/other.dcm", **change)]) == [Outcome.CONFLICT]
    assert [row.file for row in snapshot(index, "1.2", 1)] == ["instances/1.dcm"]
    with reading(index) as connection:
        assert connection.execute(sa.select(CONFLICT.c.file)).scalars().all() == [
            "instances/other.dcm"
        ]


def test_a_late_image_opens_the_next_revision_and_leaves_the_snapshot_alone(index):
    record(index, [arrival(1), arrival(2)])
    assert freeze(index, "1.2", 1)
    assert open_studies(index, 1000.0) == ()
    before = snapshot(index, "1.2", 1)
    record(index, [arrival(3)])
    (study,) = open_studies(index, 1000.0)
    assert (study.revision, study.frozen) == (2, 1)
    assert snapshot(index, "1.2", 1) == before
    assert len(snapshot(index, "1.2", 2)) == 3


def test_a_duplicate_does_not_reopen_a_study(index):
    record(index, [arrival(1)])
    freeze(index, "1.2", 1)
    record(index, [arrival(1, file="instances/again.dcm")])
    assert open_studies(index, 1000.0) == ()


def test_freezing_may_be_repeated_but_not_foreseen(index):
    record(index, [arrival(1)])
    assert not freeze(index, "1.2", 2)
    assert freeze(index, "1.2", 1)
    assert freeze(index, "1.2", 1)
    assert not freeze(index, "9.9", 1)
    assert frozen_studies(index) == (("1.2", 1),)


def test_the_number_of_images_is_believed_only_when_every_header_says_the_same(index):
    record(index, [arrival(1), arrival(2)])
    record(
        index, [arrival(3, series_uid="1.2.4"), arrival(4, series_uid="1.2.4", expected_images=9)]
    )
    record(
        index,
        [arrival(5, series_uid="1.2.5"), arrival(6, series_uid="1.2.5", expected_images=None)],
    )
    study = study_arrivals(index, "1.2")
    assert study is not None
    assert [series.expected_images for series in study.series] == [3, None, None]
    assert [series.received for series in study.series] == [2, 2, 2]


def test_a_clock_set_back_does_not_hold_a_study_until_the_future(index):
    record(index, [arrival(1, received_s=9000.0)])
    (study,) = open_studies(index, 200.0)
    assert (study.last_s, study.series[0].last_s) == (200.0, 200.0)
    (again,) = open_studies(index, 300.0)
    assert again.last_s == 200.0


def test_what_is_here_is_found_by_its_uid(index):
    record(index, [arrival(number) for number in range(1200)])
    asked = [f"1.2.3.{number}" for number in range(1100, 1300)]
    assert sorted(find_instances(index, asked)) == sorted(asked[:100])


def test_the_same_file_recorded_twice_is_no_duplicate_of_itself(index):
    assert record(index, [arrival(1)]) == [Outcome.NEW]
    assert record(index, [arrival(1)]) == [Outcome.NEW]
    assert len(snapshot(index, "1.2", 1)) == 1


def test_the_fast_way_ends_where_the_general_one_does(tmp_path):
    batches = [
        [arrival(1)],
        [arrival(2), arrival(3, study_uid="1.9")],
        [arrival(4), arrival(4, file="instances/twice.dcm")],
        [arrival(2, file="instances/again.dcm"), arrival(5)],
        [arrival(2, file="instances/other.dcm", sha256="f" * 64), arrival(6, study_uid="1.9")],
    ]
    told, rows = [], []
    for name in ("general", "fast"):
        engine = open_index(Storage(directory=tmp_path / name))
        recorder = Recorder(engine)
        way = recorder.record if name == "fast" else functools.partial(record, engine)
        outcomes = []
        for batch in batches:
            outcomes.append(way(batch))
            freeze(engine, "1.2", 1)
        told.append(outcomes)
        with reading(engine) as connection:
            rows.append(
                [
                    connection.execute(sa.select(table)).all()
                    for table in (STUDY, INSTANCE, CONFLICT)
                ]
            )
        recorder.close()
        engine.dispose()
    assert told[0] == told[1]
    assert rows[0] == rows[1]
    assert told[0][3] == [Outcome.DUPLICATE, Outcome.NEW]


def test_many_threads_record_and_freeze_without_losing_a_row(index):
    def send(number: int) -> None:
        assert record(index, [arrival(number)]) == [Outcome.NEW]
        study = study_arrivals(index, "1.2")
        if study is not None and study.revision > study.frozen:
            freeze(index, "1.2", study.revision)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(send, range(64)))
    study = study_arrivals(index, "1.2")
    assert study is not None
    assert len(snapshot(index, "1.2", study.revision)) == 64


def test_the_database_is_opened_so_that_a_commit_survives_power_loss(index, tmp_path):
    with reading(index) as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
    other = sqlite3.connect(tmp_path / "index.sqlite")
    assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()


def test_processes_that_start_together_make_the_tables_once(tmp_path):
    code = (
        "import sys; from pathlib import Path; from node.config import Storage\n"
        "from node.index.tables import open_index\n"
        "sys.stdin.read(1)\n"
        "open_index(Storage(directory=Path(sys.argv[1])))\n"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / "node")],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(__file__).parents[3],
        )
        for _ in range(4)
    ]
    errors = [process.communicate(b"x")[1].decode() for process in running]
    assert errors == [""] * 4


def test_a_checkpoint_brings_what_came_into_the_file_while_others_write_and_read(index, tmp_path):
    record(index, [arrival(1)])
    with reading(index) as reader, index.begin() as writer:
        find_all = sa.select(INSTANCE.c.sop_instance_uid)
        before = reader.execute(find_all).all()
        writer.execute(sa.update(STUDY).values(first_s=0.0))
        checkpoint(index)
        assert reader.execute(find_all).all() == before
    alone = shutil.copy(tmp_path / "index.sqlite", tmp_path / "alone.sqlite")  # without the log
    with contextlib.closing(sqlite3.connect(alone)) as connection:
        assert connection.execute("SELECT sop_instance_uid FROM instance").fetchall() == [
            (arrival(1).sop_instance_uid,)
        ]
