"""A disk that is full for the databases alone: images wait with their senders, studies in the node.

The spool has room here, so that nothing but the database's own commit can fail.
"""

import contextlib
import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from node.config import Storage
from node.errors import is_for_want_of_room
from node.index import jobs
from node.index.jobs import JobState
from node.index.tables import open_index
from node.workflow import sweep
from tests.node.test_studies import STUDY, arrive
from tests.node.test_sweep import Engine, Progress
from tests.peers import send, study_of, wait_for
from tests.raw_sender import SUCCESS, RawSender, ReceiverProcess, mr_data_set
from tests.receiving import files_of

NO_ROOM = 0xA700


def write_for_ever(file, content: bytes) -> None:
    while True:
        file.write(content)


class Filler:
    """Takes every byte of a filesystem that is mounted in the sight of one process only."""

    def __init__(self, pid: int, folder: Path) -> None:
        self._path = Path(f"/proc/{pid}/root{folder}/filler")

    def fill(self) -> None:
        with self._path.open("wb", buffering=0) as file:
            for size in (2**16, 2**12):
                with pytest.raises(OSError, match="No space left"):
                    write_for_ever(file, bytes(size))

    def remove(self) -> None:
        self._path.unlink()


def test_an_index_without_room_refuses_images_and_has_each_of_them_once_when_it_has_room_again(
    tmp_path, own_disk
):
    where = tmp_path / "database"
    receiver = ReceiverProcess(tmp_path, database_url=f"sqlite:///{where}/index.sqlite")
    receiver.prefix = own_disk(where, 4)
    instances = [mr_data_set("1.2.826.0.1.9", "1.2.826.0.1.9.1", n) for n in range(120)]
    try:
        receiver.start()
        filler = Filler(receiver.process.pid, where)
        filler.fill()
        with RawSender(receiver.port) as sender:
            answers = [sender.store(*instance) for instance in instances]
            assert set(answers[-50:]) == {NO_ROOM}
            files = files_of(receiver.storage)
            assert len(files) <= answers.count(SUCCESS) + 1  # not one a refused image
            filler.remove()
            assert [sender.store(*instance) for instance in instances] == [SUCCESS] * 120
            sender.release()
        # The mount is seen only from inside.
        shutil.copytree(f"/proc/{receiver.process.pid}/root{where}", tmp_path / "copy")
        index = sa.create_engine(f"sqlite:///{tmp_path}/copy/index.sqlite")
        with index.connect() as connection:
            rows = connection.execute(sa.text("SELECT file FROM instance")).scalars().all()
        index.dispose()
    finally:
        receiver.stop()
    assert len(rows) == 120
    assert sorted(rows) == files_of(receiver.storage)
    assert any("its disk is full" in line for line in receiver.log)


def test_a_database_that_is_full_when_an_analysis_ends_delays_its_results(
    make_node, pacs, own_disk, tmp_path
):
    where = tmp_path / "database"
    node = make_node(
        storage={
            "directory": str(tmp_path / "state"),
            "database_url": f"sqlite:///{where}/node.sqlite",
        }
    )
    node.prefix = own_disk(where, 24)
    node.environment["ANALYSIS_SECONDS"] = "2"
    node.start().wait_until_ready()
    filler = Filler(node.process.pid, where)
    send(node.port, study_of(6, seed="full"))
    wait_for(lambda: node.said("6 images"), "the analysis begins")
    filler.fill()
    with full_log(node.process.pid, where / "node.sqlite"):
        wait_for(lambda: node.said("database or disk is full"), "it is noticed")
        filler.remove()
    wait_for(lambda: len(pacs.stored) == 3, "three results")
    assert set(pacs.stored.values()) == {1}


@contextlib.contextmanager
def full_log(pid: int, database: Path):
    """Fill the log of a database on a full disk, and keep it from being used again."""
    within = ["nsenter", "--user", "--mount", "--target", str(pid), sys.executable, "-c", FILL_LOG]
    with subprocess.Popen(
        [*within, str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout.readline() == "database or disk is full\n"
        yield
        other.stdin.close()


FILL_LOG = """
import itertools, sqlite3, sys
reader, writer = (sqlite3.connect(sys.argv[1], isolation_level=None) for _ in range(2))
try:
    for number in itertools.count(1):
        writer.execute(f"PRAGMA user_version={number}")
        if number == 1:  # the log holds something, and must hold it from now on
            reader.execute("BEGIN")
            reader.execute("SELECT * FROM study").fetchall()
except sqlite3.OperationalError as error:
    print(error, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def full_index(tmp_path):
    """An index whose database may not grow by a page, as on a disk without room."""
    open_index(Storage(directory=tmp_path)).dispose()
    index = open_index(Storage(directory=tmp_path))

    @sa.event.listens_for(index, "connect")
    def _limit(connection, _):
        connection.execute("PRAGMA max_page_count=1")  # which means: as many as there are

    index.dispose()
    yield index
    index.dispose()


def test_what_sqlite_says_of_a_full_disk_is_understood_through_all_hands(full_index):
    with pytest.raises(sa.exc.OperationalError) as caught:
        arrive_for_ever(full_index)
    assert is_for_want_of_room(caught.value)


def arrive_for_ever(index) -> None:
    for number in itertools.count():
        arrive(index, number)


def test_a_study_that_found_no_room_in_the_database_never_waits_for_a_person(tmp_path):
    index = open_index(Storage(directory=tmp_path))
    arrive(index, 1, now_s=100.0)
    jobs.freeze_and_add(index, STUDY, 1, 100.0)
    engine = Engine()
    now_s, pauses = 100.0, []
    for _ in range(3 * sweep.GIVE_UP_AFTER):
        job = jobs.find_job(index, STUDY, 1)
        engine.states[f"study:{STUDY}:1:{job.attempt}"] = Progress.FAILED
        sweep.drive_jobs(index, engine, {}, now_s, lacked_room=lambda _: True)
        job = jobs.find_job(index, STUDY, 1)
        assert (job.state, job.reason) == (JobState.QUEUED, "the disk of the database is full")
        pauses.append(job.next_try_s - now_s)
        now_s += 10_000
    assert max(pauses) <= 1000
    index.dispose()
