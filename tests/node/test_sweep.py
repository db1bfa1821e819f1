"""The reconciler against an engine that forgets, fails and lags."""

import pytest

from node.config import Analysis, Completion, Storage
from node.deliver.rounds import Errand
from node.engine import Progress, Work
from node.index import jobs
from node.index.clock import pull_in
from node.index.jobs import JobState, Place
from node.index.ledger import Consignment
from node.index.tables import open_index
from node.workflow import sweep
from node.workflow.announced import Announcements
from tests.node.test_studies import STUDY, arrive

KEY = f"study:{STUDY}:1:0"


class Engine:
    """Remembers what was started; its answers are the test's."""

    def __init__(self) -> None:
        self.started: dict[str, float | None] = {}
        self.cancelled: list[str] = []
        self.states: dict[str, Progress] = {}

    def start(self, key, not_before_s=None):
        self.started[key] = not_before_s

    def cancel(self, key):
        self.cancelled.append(key)

    def status(self, key):
        return self.states.get(key)


@pytest.fixture
def index(tmp_path):
    engine = open_index(Storage(directory=tmp_path))
    arrive(engine, 1, now_s=100.0)
    yield engine
    engine.dispose()


def running():
    return Work(progress=Progress.RUNNING, not_before_s=None)


def waiting(not_before_s=None):
    return Work(progress=Progress.WAITING, not_before_s=not_before_s)


def test_a_quiet_study_is_queued_once_and_a_noisy_one_waits(index, tmp_path):
    patience = Completion(series_quiet_s=10, study_quiet_s=10)
    announcements = Announcements(index, tmp_path, Analysis())
    sweep.freeze_complete_studies(index, patience, announcements, 105.0)
    assert jobs.jobs(index) == ()
    sweep.freeze_complete_studies(index, patience, announcements, 111.0)
    sweep.freeze_complete_studies(index, patience, announcements, 112.0)
    assert [job.revision for job in jobs.jobs(index)] == [1]


def test_unfinished_work_that_nobody_drives_is_started_and_live_work_is_not(index):
    jobs.freeze_and_add(index, STUDY, 1, 100.0)
    engine = Engine()
    sweep.drive_jobs(index, engine, {KEY: running()}, 101.0)
    assert engine.started == {}
    sweep.drive_jobs(index, engine, {}, 101.0)
    assert engine.started == {KEY: None}


def test_without_room_nothing_begins_and_with_it_everything_does(index):
    jobs.freeze_and_add(index, STUDY, 1, 100.0)
    engine = Engine()
    sweep.drive_jobs(index, engine, {}, 101.0, has_room=False)
    assert engine.started == {}
    assert jobs.find_job(index, STUDY, 1).state is JobState.QUEUED
    sweep.drive_jobs(index, engine, {}, 102.0, has_room=True)
    assert engine.started == {KEY: None}


def test_after_the_clock_is_set_back_nothing_waits_for_the_old_time(index):
    jobs.freeze_and_add(index, STUDY, 1, 1e9)
    jobs.repeat_job(index, Place(STUDY, 1, 0), reason="", not_before_s=1e9 + 60, now_s=1e9)
    key, engine = f"study:{STUDY}:1:1", Engine()
    live = {key: waiting(not_before_s=1e9 + 60)}
    sweep.drive_jobs(index, engine, live, 1e9)
    assert engine.started == {}
    pull_in(index, jobs.JOB.c.next_try_s, 1e9 - 86400, sweep.LONGEST_PAUSE_S)
    sweep.drive_jobs(index, engine, live, 1e9 - 86400)
    assert engine.started == {key: 1e9 - 86400}


def test_an_ordinary_pause_is_left_alone(index):
    jobs.freeze_and_add(index, STUDY, 1, 100.0)
    again_s = 100.0 + sweep.LONGEST_PAUSE_S
    jobs.repeat_job(index, Place(STUDY, 1, 0), reason="", not_before_s=again_s, now_s=100.0)
    pull_in(index, jobs.JOB.c.next_try_s, 100.0, sweep.LONGEST_PAUSE_S)
    assert jobs.find_job(index, STUDY, 1).next_try_s == again_s


def test_work_that_ends_without_a_conclusion_is_repeated_with_growing_pauses_and_given_up(index):
    jobs.freeze_and_add(index, STUDY, 1, 100.0)
    engine = Engine()
    now_s, pauses, given_up = 100.0, [], []
    while (job := jobs.find_job(index, STUDY, 1)).state is not JobState.FAILED:
        engine.states[f"study:{STUDY}:1:{job.attempt}"] = Progress.FAILED
        assert given_up == []
        sweep.drive_jobs(index, engine, {}, now_s, gave_up=given_up.append)
        pauses.append(jobs.find_job(index, STUDY, 1).next_try_s - now_s)
        now_s += 10_000
    assert pauses[:3] == [60.0, 120.0, 240.0]
    assert len(pauses) == sweep.GIVE_UP_AFTER
    assert given_up == [STUDY]


def test_a_study_whose_archive_is_asked_is_driven_in_the_lane_for_that(index):
    jobs.freeze_and_add(index, STUDY, 1, 100.0)
    jobs.begin_job(index, Place(STUDY, 1, 0), 100.0)
    assert jobs.await_partner(index, Place(STUDY, 1, 0), 101.0)
    engine, key = Engine(), f"fetch:{STUDY}:1:0"
    engine.states[KEY] = Progress.FINISHED
    sweep.drive_jobs(index, engine, {}, 102.0)
    assert engine.started == {key: None}
    jobs.cancel_job(index, STUDY, 1, 103.0)
    sweep.drive_jobs(index, engine, {key: waiting()}, 104.0)
    assert engine.cancelled == [key]


def test_waiting_work_of_a_cancelled_job_is_cancelled_and_running_work_ends_by_itself(index):
    jobs.freeze_and_add(index, STUDY, 1, 100.0)
    jobs.cancel_job(index, STUDY, 1, 101.0)
    engine = Engine()
    sweep.drive_jobs(index, engine, {KEY: running()}, 102.0)
    assert engine.cancelled == []
    sweep.drive_jobs(index, engine, {KEY: waiting()}, 102.0)
    assert engine.cancelled == [KEY]


def test_a_frozen_study_without_a_job_is_adopted(index):
    jobs.freeze_and_add(index, STUDY, 1, 100.0)
    with index.begin() as connection:
        connection.execute(jobs.JOB.delete())
    sweep.adopt_frozen_studies(index, 200.0)
    assert jobs.find_job(index, STUDY, 1).state is JobState.QUEUED


class Round:
    """An errand with one consignment whose round and time the test sets."""

    def __init__(self, number, next_try_s=0.0) -> None:
        self.consignment = Consignment(
            study_uid=STUDY, revision=1, destination="pacs", round=number, next_try_s=next_try_s
        )
        self.claimed = []
        self.errand = Errand(
            name="deliver",
            waiting=lambda: [self.consignment],
            claim=lambda key, _: self.claimed.append(key),
            make=lambda *_: None,
        )

    def key(self, number):
        return f"deliver-pacs:{STUDY}:1:{number}"


def test_a_round_is_started_at_its_time_and_brought_forward():
    one = Round(0, next_try_s=500.0)
    engine = Engine()
    one.errand.drive(engine, {}, 100.0)
    assert engine.started == {one.key(0): 500.0}
    engine.started.clear()
    one.errand.drive(engine, {one.key(0): waiting(500.0)}, 100.0)
    assert engine.started == {}
    one.errand.drive(engine, {one.key(0): waiting(900.0)}, 100.0)
    assert engine.started == {one.key(0): 500.0}


@pytest.mark.parametrize("state", [Progress.RUNNING, Progress.WAITING])
def test_no_round_is_started_while_the_last_one_is_being_made(state):
    one = Round(1)
    engine = Engine()
    engine.states[one.key(0)] = state
    one.errand.drive(engine, {one.key(0): running()}, 100.0)
    assert engine.started == {}
    engine.states[one.key(0)] = Progress.FINISHED
    one.errand.drive(engine, {}, 100.0)
    assert list(engine.started) == [one.key(1)]


def test_a_round_that_ended_without_counting_itself_is_counted():
    one = Round(3)
    engine = Engine()
    engine.states[one.key(3)] = Progress.FAILED
    one.errand.drive(engine, {}, 100.0)
    assert one.claimed == [one.key(3)]
    assert engine.started == {}


def test_keys_are_read_back_as_they_were_written():
    one = Round(7)
    read = one.errand.consignment_of(one.errand.key_of(one.consignment))
    assert (read.study_uid, read.revision, read.destination, read.round) == (STUDY, 1, "pacs", 7)
