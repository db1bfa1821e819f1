"""The steps of one study, with the analysis replaced by small programs that end in every way."""

import errno
import json
import shutil
import sys
import threading
import time
from dataclasses import replace

import pytest

from node.audit import AuditTrail
from node.config import Config
from node.index import jobs, ledger
from node.index.arrivals import Arrival, record
from node.index.jobs import JobState
from node.index.tables import open_index
from node.spool import Spool
from node.workflow.fetching import FetchWork
from node.workflow.folders import Folders
from node.workflow.study import CRASHES_REPEATED, StudyWork
from node.workflow.ticket import Ticket
from tests.peers import image

STUDY = "1.2.3"
ANSWER = {
    "status": "analysed",
    "reason": "",
    "objects": [
        {
            "file": "one.dcm",
            "kind": "pictures",
            "sop_class_uid": "1.2.840.10008.5.1.4.1.1.7",
            "sop_instance_uid": "2.25.1",
        }
    ],
}
WRITES = "import os, sys; out = sys.argv[3]; os.mkdir(out); open(out + '/one.dcm', 'w').close(); "


class Straight:
    """An engine that runs every step at once."""

    def step(self, _, function, *args):
        return function(*args)


class Bench:
    def __init__(self, folder) -> None:
        self.now_s = 100.0
        self.config = Config.model_validate(
            {
                "storage": {"directory": folder},
                "delivery": {
                    "destinations": [
                        {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 104},
                        {
                            "name": "only-good",
                            "ae_title": "GOOD",
                            "host": "127.0.0.1",
                            "port": 104,
                            "verdicts": ["analysed"],
                            "senders": ["SCANNER"],
                        },
                    ]
                },
                "analysis": {"timeout_s": 1.0},
            }
        )
        self.index = open_index(self.config.storage)
        self.spool = Spool.open(self.config.storage)
        self.folder = folder
        self.audit = AuditTrail(self.config.audit, self.config.storage, ae_title="PERFUSION")

    def be_patient(self):
        analysis = self.config.analysis.model_copy(update={"timeout_s": 50.0})
        self.config = self.config.model_copy(update={"analysis": analysis})

    def arrive(self, number):
        file = f"{number}.dcm"
        self.spool.path(file).write_bytes(b"image")
        made = image(STUDY, "1.2.3.0", number)
        record(
            self.index,
            [
                Arrival(
                    sop_instance_uid=str(made.SOPInstanceUID),
                    study_uid=STUDY,
                    series_uid="1.2.3.0",
                    sop_class_uid=str(made.SOPClassUID),
                    transfer_syntax_uid="1.2.840.10008.1.2.1",
                    file=file,
                    size_bytes=5,
                    sha256=str(number),
                    modality="MR",
                    expected_images=None,
                    calling_ae="SCANNER",
                    received_s=self.now_s,
                )
            ],
        )

    def freeze(self, revision=1):
        jobs.freeze_and_add(self.index, STUDY, revision, self.now_s)

    def analyse(self, program, revision=1, fetch_missing=None, between=lambda: None):
        """Run the job's current attempt with a program; returns the job.

        With `fetch_missing` also what follows where something is missing, after `between`.
        """
        job = jobs.find_job(self.index, STUDY, revision)
        work = StudyWork(
            self.index,
            self.config,
            audit=self.audit,
            command=(sys.executable, "-c", program),
            fetches=fetch_missing is not None,
            clock=lambda: self.now_s,
        )
        ticket = Ticket(study_uid=STUDY, revision=revision, attempt=job.attempt)
        work.handle(Straight(), ticket.key)
        if jobs.find_job(self.index, STUDY, revision).state is JobState.FETCHING:
            between()
            folders = Folders(self.config.storage)
            fetching = FetchWork(self.index, work, folders, fetch_missing, clock=lambda: self.now_s)
            fetching.handle(Straight(), replace(ticket, lane="fetch").key)
        return jobs.find_job(self.index, STUDY, revision)

    @property
    def destinations(self):
        return {row.destination for row in ledger.study_deliveries(self.index, STUDY)}


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    made.arrive(1)
    made.arrive(2)
    made.freeze()
    yield made
    made.index.dispose()


def says(code, **changes):
    answer = json.dumps({**ANSWER, **changes})
    return f"{WRITES}print({answer!r}); sys.exit({code})"


LACKS = says(0, first_passes=[{"state": "stress", "findings": []}])


def test_results_are_kept_and_entered_for_each_destination(bench, tmp_path):
    job = bench.analyse(says(0))
    assert (job.state, job.verdict) == (JobState.DONE, "analysed")
    assert bench.destinations == {"pacs", "only-good"}
    row = ledger.study_deliveries(bench.index, STUDY)[0]
    assert (tmp_path / "results" / row.file).exists()
    assert list((tmp_path / "work").iterdir()) == []


@pytest.mark.parametrize(("code", "verdict"), [(3, "nothing"), (4, "withheld")])
def test_what_cannot_be_shown_goes_only_where_it_is_wanted(bench, code, verdict):
    job = bench.analyse(says(code, status=verdict, reason="no bolus"))
    assert (job.state, job.verdict, job.reason) == (JobState.DONE, verdict, "no bolus")
    assert bench.destinations == {"pacs"}


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import sys; sys.exit(1)", "exit code 1"),
        ("import sys; sys.exit(2)", "exit code 2"),
        ("print('no JSON')", "no JSON"),
        ("print('[]')", "no object"),
        ("import time; time.sleep(60)", "longer than analysis.timeout_s"),
    ],
)
def test_an_analysis_that_fails_is_said_and_not_repeated(bench, program, reason):
    job = bench.analyse(program)
    assert job.state is JobState.FAILED
    assert reason in job.reason
    assert bench.destinations == set()


def test_an_analysis_killed_for_memory_is_repeated_and_then_given_up(bench):
    killed = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    for attempt in range(CRASHES_REPEATED):
        job = bench.analyse(killed)
        assert (job.state, job.attempt) == (JobState.QUEUED, attempt + 1)
        assert job.next_try_s > bench.now_s
    job = bench.analyse(killed)
    assert job.state is JobState.FAILED
    assert "SIGKILL" in job.reason


@pytest.mark.parametrize(
    "demand",
    [
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (2**30, 2**30)); bytearray(2**31)",
        "import torch; torch.zeros(2**45)",
        "import errno; raise OSError(errno.ENOMEM, 'Cannot allocate memory')",
        "import torch; raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB')",
        "raise RuntimeError('CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate')",
    ],
)
def test_an_analysis_that_is_refused_memory_is_repeated_and_then_given_up(bench, demand):
    greedy = (
        f"import sys; from node.cli import guarded; sys.exit(guarded(lambda: exec({demand!r})))"
    )
    bench.be_patient()
    for attempt in range(CRASHES_REPEATED):
        job = bench.analyse(greedy)
        assert (job.state, job.attempt) == (JobState.QUEUED, attempt + 1)
    job = bench.analyse(greedy)
    assert (job.state, job.reason) == (JobState.FAILED, "the analysis ran out of memory")


def test_an_analysis_without_room_waits_as_long_as_it_takes_and_leaves_nothing(bench, tmp_path):
    full = WRITES + "sys.exit(5)"
    for attempt in range(3 * CRASHES_REPEATED):
        job = bench.analyse(full)
        assert (job.state, job.attempt) == (JobState.QUEUED, attempt + 1)
        assert job.reason == "the disk is full"
        assert bench.now_s < job.next_try_s <= bench.now_s + 60
        assert list((tmp_path / "work").iterdir()) == []
    assert bench.destinations == set()
    assert bench.analyse(says(0)).state is JobState.DONE
    assert bench.destinations == {"pacs", "only-good"}


@pytest.mark.parametrize("step", ["work", "keep_results"])
def test_a_disk_that_is_full_for_work_or_results_is_waited_for(bench, tmp_path, monkeypatch, step):
    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(Folders, step, refuse)
        job = bench.analyse(says(0))
    assert (job.state, job.reason) == (JobState.QUEUED, "the disk is full")
    assert bench.destinations == set()
    assert not list((tmp_path / "results").rglob("*.dcm"))
    assert bench.analyse(says(0)).state is JobState.DONE
    assert len(list((tmp_path / "results").rglob("*.dcm"))) == 1


def test_what_else_the_disk_refuses_is_no_want_of_room(bench, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(Folders, "keep_results", refuse)
    with pytest.raises(OSError, match="Input/output"):
        bench.analyse(says(0))


def test_a_cancelled_analysis_is_ended_and_stays_cancelled(bench):
    began_s = time.monotonic()
    bench.be_patient()
    person = threading.Timer(0.5, jobs.cancel_job, (bench.index, STUDY, 1, bench.now_s))
    person.start()
    job = bench.analyse("import time; time.sleep(60)")
    assert job.state is JobState.CANCELLED
    assert time.monotonic() - began_s < 30


def test_repeating_the_whole_work_enters_nothing_twice(bench):
    bench.analyse(says(0))
    before = ledger.study_deliveries(bench.index, STUDY)
    command = (sys.executable, "-c", says(0))
    work = StudyWork(bench.index, bench.config, audit=bench.audit, command=command)
    key = Ticket(study_uid=STUDY, revision=1, attempt=0).key
    outcome = work.analyse(key)
    work.conclude(key, outcome)
    assert ledger.study_deliveries(bench.index, STUDY) == before


def test_results_of_a_revision_that_is_overtaken_are_not_sent(bench):
    bench.arrive(3)
    job = bench.analyse(says(0))
    assert job.state is JobState.SUPERSEDED
    assert bench.destinations == set()
    bench.freeze(2)
    assert bench.analyse(says(0), revision=2).state is JobState.DONE
    assert bench.destinations == {"pacs", "only-good"}


def test_results_are_sent_whatever_becomes_of_what_the_study_lacks(bench):
    asked = []

    def break_down(study_uid):
        asked.append(study_uid)
        raise ValueError("a number of images that is no number: MARKED^NAME")

    job = bench.analyse(LACKS, fetch_missing=break_down)
    assert asked == [STUDY]
    assert (job.state, job.verdict) == (JobState.DONE, "analysed")
    assert bench.destinations == {"pacs", "only-good"}


def bring(bench, number=3):
    """Fetch another image, which makes revision 2."""
    return lambda _: bench.arrive(number)


def test_what_waited_for_a_fetched_series_is_sent_where_that_cannot_be_analysed(bench, tmp_path):
    job = bench.analyse(LACKS, fetch_missing=bring(bench))
    assert (job.state, bench.destinations) == (JobState.SUPERSEDED, set())
    bench.freeze(2)
    assert bench.analyse("import sys; sys.exit(1)", revision=2).state is JobState.FAILED
    rows = ledger.study_deliveries(bench.index, STUDY)
    assert {(row.destination, row.revision) for row in rows} == {("pacs", 1), ("only-good", 1)}
    assert all((tmp_path / "results" / row.file).exists() for row in rows)
    job = jobs.find_job(bench.index, STUDY, 1)
    assert (job.state, job.verdict) == (JobState.DONE, "analysed")
    assert job.reason == "sent after all: the analysis of revision 2 failed"
    # And when a person has mended it, the whole replaces the part.
    assert jobs.retry_job(bench.index, STUDY, 2, bench.now_s)
    whole = {**ANSWER["objects"][0], "sop_instance_uid": "2.25.2"}
    assert bench.analyse(says(0, objects=[whole]), revision=2).state is JobState.DONE
    states = {
        row.sop_instance_uid: row.state for row in ledger.study_deliveries(bench.index, STUDY)
    }
    assert states == {"2.25.1": "superseded", "2.25.2": "pending"}


def test_a_fetched_series_may_fail_before_the_archive_is_through(bench):
    def overtake():
        bench.arrive(3)
        bench.freeze(2)
        assert bench.analyse("import sys; sys.exit(1)", revision=2).state is JobState.FAILED
        assert bench.destinations == set()

    job = bench.analyse(LACKS, fetch_missing=lambda _: None, between=overtake)
    assert (job.state, bench.destinations) == (JobState.DONE, {"pacs", "only-good"})


def test_what_was_held_back_stays_so_while_newer_images_may_speak(bench):
    bench.analyse(LACKS, fetch_missing=bring(bench))
    bench.freeze(2)
    bench.arrive(4)
    assert bench.analyse("import sys; sys.exit(1)", revision=2).state is JobState.FAILED
    assert bench.destinations == set()
    bench.freeze(3)
    assert bench.analyse(says(0), revision=3).state is JobState.DONE
    assert {row.revision for row in ledger.study_deliveries(bench.index, STUDY)} == {3}


def test_a_study_that_is_cancelled_while_an_archive_is_asked_sends_nothing(bench):
    job = bench.analyse(
        LACKS,
        fetch_missing=lambda _: None,
        between=lambda: jobs.cancel_job(bench.index, STUDY, 1, bench.now_s),
    )
    assert (job.state, bench.destinations) == (JobState.CANCELLED, set())


def test_results_that_vanish_while_an_archive_is_asked_are_made_again(bench, tmp_path):
    job = bench.analyse(
        LACKS,
        fetch_missing=lambda _: None,
        between=lambda: shutil.rmtree(tmp_path / "results"),
    )
    assert (job.state, job.attempt) == (JobState.QUEUED, 1)
    assert bench.analyse(LACKS, fetch_missing=lambda _: None).state is JobState.DONE
    assert bench.destinations == {"pacs", "only-good"}
