"""The steps of one study, with the analysis replaced by small programs that end in every way."""

import errno
import sys
import threading
import time

import pytest

from node.index import jobs, ledger
from node.index.jobs import JobState
from node.workflow.folders import Folders
from node.workflow.study import CRASHES_REPEATED, StudyWork
from node.workflow.ticket import Ticket
from tests.workbench import STUDY, WRITES, says


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
