"""A crash in the middle of deleting changes nothing; what comes again is taken as new."""

import os
import signal
import sys

import pytest

from node.audit import AuditTrail
from node.index import jobs
from node.index.holdings import study_arrivals
from node.index.jobs import JobState
from node.index.retirement import find_retired
from node.index.tables import open_index
from node.receive.recover import recover
from node.workflow.study import StudyWork
from node.workflow.ticket import Ticket
from tests.keeping import IMAGES

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket")


def killed_at(kept, event_number) -> bool:
    """Sweep in a process that dies at some call to the file system; False: it came to its end."""
    child = os.fork()
    if child == 0:
        left = event_number

        def die(event, _arguments):
            nonlocal left
            if event in ("os.remove", "os.rename", "os.rmdir", "open"):
                left -= 1
                if left < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        kept.index = open_index(kept.config.storage)
        sys.addaudithook(die)
        kept.sweep()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def test_a_sweep_that_is_killed_at_any_moment_loses_nothing_else_and_is_finished_later(kept):
    kept.deliver()
    kept.shipping.pacs.stop()
    kept.days_pass(3)
    kept.index.dispose()  # a connection must not be shared by two processes
    bystander = kept.folder / "results" / "0123456789abcdef-r1-a0"
    bystander.mkdir()
    kills = 0
    for number in (0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 999):
        kills += killed_at(kept, number)
        found = recover(kept.spool, kept.index)
        assert found.recorded == 0, "the receiver brought deleted images back"
        arrived = study_arrivals(kept.index, kept.study)
        assert len(kept.images) == 6 or arrived is None
        kept.index.dispose()
    assert kills >= 5
    assert kept.images == []
    assert find_retired(kept.index, kept.study).done
    assert bystander.exists()


def test_an_image_that_comes_again_during_the_deletion_is_kept_as_new(kept):
    kept.deliver()
    kept.shipping.pacs.stop()
    kept.days_pass(3)
    kept.index.dispose()
    number = 0
    while find_retired(kept.index, kept.study) is None:
        kept.index.dispose()
        assert killed_at(kept, number)
        number += 1
    assert kept.take(IMAGES[0]) == 0
    kept.sweep()
    (series,) = study_arrivals(kept.index, kept.study).series
    assert series.received == 1
    assert len(kept.images) == 1


def test_a_part_of_a_deleted_study_is_not_analysed_alone_and_the_whole_is(kept):
    kept.deliver()
    kept.days_pass(3)
    kept.sweep()
    stored = dict(kept.shipping.pacs.stored)
    assert kept.take(IMAGES[0]) == 0
    assert analysed(kept, 2) is False
    job = jobs.find_job(kept.index, kept.study, 2)
    assert job.state is JobState.DONE
    assert "fetch the whole study" in job.reason
    for image in IMAGES[1:]:
        assert kept.take(image) == 0
    assert analysed(kept, 3) is True
    assert kept.shipping.pacs.stored == stored


def test_a_part_that_came_again_and_went_again_does_not_become_the_measure_of_the_whole(kept):
    kept.deliver()
    kept.days_pass(3)
    kept.sweep()
    kept.take(IMAGES[0])
    assert analysed(kept, 2) is False
    kept.days_pass(3)
    kept.sweep()
    assert kept.images == []
    for image in IMAGES[1:3]:
        kept.take(image)
    assert analysed(kept, 3) is False
    assert find_retired(kept.index, kept.study).images == len(IMAGES)


def analysed(kept, revision) -> bool:
    jobs.freeze_and_add(kept.index, kept.study, revision, kept.now_s)
    audit = AuditTrail(kept.config.audit, kept.config.storage, ae_title="PERFUSION")
    work = StudyWork(kept.index, kept.config, audit=audit, clock=lambda: kept.now_s)
    return work.begin(Ticket(study_uid=kept.study, revision=revision, attempt=0).key)
