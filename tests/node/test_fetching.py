"""A study that lacks something: an archive is asked first, and whatever comes, one set is sent."""

import shutil

from node.index import jobs, ledger
from node.index.jobs import JobState, Place
from tests.workbench import ANSWER, STUDY, says

LACKS = says(0, first_passes=[{"state": "stress", "findings": []}])


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


def test_what_is_analysed_is_not_analysed_again_while_an_archive_is_asked(bench):
    begun = []

    def begin_again():
        begun.append(jobs.begin_job(bench.index, Place(STUDY, 1, 0), bench.now_s))

    job = bench.analyse(LACKS, fetch_missing=lambda _: None, between=begin_again)
    assert begun == [False]
    assert job.state is JobState.DONE
