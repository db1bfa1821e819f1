"""What is delivered may be deleted; what is not stays; a crash in the middle changes neither."""

import os
import signal
import sys
from dataclasses import replace

import pytest
import sqlalchemy as sa
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from node.audit import AuditTrail
from node.cli import main
from node.config import Config, Destination
from node.dicom_write import read_earlier
from node.index import jobs, ledger
from node.index.conflicts import conflicts
from node.index.entry import RESULT
from node.index.holdings import known_files, study_arrivals
from node.index.jobs import JobState
from node.index.ledger import DELIVERY, DeliveryState
from node.index.retirement import Candidate, find_retired, quiet_studies
from node.index.tables import CONFLICT, INSTANCE, open_index
from node.receive.draft import Draft
from node.receive.intake import Announcement, Intake
from node.receive.recover import recover
from node.spool import Spool
from node.workflow.folders import Folders
from node.workflow.retention import Retention, why_kept
from node.workflow.study import StudyWork
from node.workflow.ticket import Ticket
from tests.peers import Pacs, study_of
from tests.shipping import KINDS, Shipping

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket")

DAY_S = 86400.0
IMAGES = study_of(6, seed="shipping")


class Kept:
    """A node that has analysed and delivered a study, and deletes after two days."""

    def __init__(self, folder, **rules) -> None:
        self.folder = folder
        self.shipping = Shipping(folder, Pacs().start(), **rules)
        self.study, self.index = self.shipping.study, self.shipping.index
        self.spool = Spool.open(self.shipping.config.storage)
        self.config = self.shipping.config.model_copy(
            update={
                "storage": self.shipping.config.storage.model_copy(
                    update={"delete_after_days": 2.0}
                )
            }
        )
        for image in IMAGES:
            self.take(image)
        jobs.freeze_and_add(self.index, self.study, 1, self.now_s)
        self.end(1)
        self._put_results_where_the_worker_puts_them()

    def _put_results_where_the_worker_puts_them(self):
        results = self.folder / "results"
        name = Folders(self.config.storage).keep_results(results / "a", self.study, 1, 0)
        with self.index.begin() as connection:
            for table in (RESULT, DELIVERY):
                moved = sa.func.replace(table.c.file, "a/", f"{name}/")
                connection.execute(table.update().values(file=moved))
        self.results = results / name

    @property
    def now_s(self):
        return self.shipping.now_s

    def end(self, revision, state=JobState.DONE):
        jobs.begin_job(self.index, self.study, revision, 0, self.now_s)
        jobs.end_job(
            self.index, self.study, revision, 0,
            state=state, verdict="analysed", reason="", now_s=self.now_s,
        )  # fmt: skip

    def take(self, image):
        """Receive an image, as the receiver does; returns the status."""
        buffer = DicomBytesIO()
        buffer.is_little_endian, buffer.is_implicit_VR = True, False
        write_dataset(buffer, image)
        intake = Intake(self.spool, self.index)
        incoming = intake.begin(
            Announcement(
                sop_class_uid=image.SOPClassUID,
                sop_instance_uid=image.SOPInstanceUID,
                transfer_syntax_uid=image.file_meta.TransferSyntaxUID,
                calling_ae="SCANNER",
            ),
            Draft(),
        )
        incoming.add(memoryview(buffer.getvalue()))
        status = incoming.finish().status
        intake.close()
        with self.index.begin() as connection:  # the test's clock, not the wall's
            new = INSTANCE.update().where(INSTANCE.c.received_s > 1e8)
            connection.execute(new.values(received_s=self.now_s))
        return status

    def deliver(self):
        while self.shipping.attempt():
            pass

    def sweep(self, config=None):
        audit = AuditTrail(self.config.audit, self.config.storage, ae_title="PERFUSION")
        Retention(self.index, config or self.config, audit).sweep(self.now_s)

    def days_pass(self, days):
        self.shipping.now_s += days * DAY_S

    @property
    def images(self):
        return sorted(self.spool.placed())

    @property
    def candidate(self) -> Candidate:
        return Candidate(
            study_uid=self.study,
            revision=1,
            job=jobs.find_job(self.index, self.study, 1),
            deliveries=ledger.study_deliveries(self.index, self.study),
        )


@pytest.fixture
def begin(tmp_path):
    made = []

    def build(**rules):
        made.append(Kept(tmp_path, **rules))
        return made[-1]

    yield build
    for kept in made:
        kept.shipping.pacs.stop()
        kept.index.dispose()
        kept.spool.close()


@pytest.fixture
def kept(begin):
    return begin()


def is_there(kept) -> bool:
    whole = [file for file in kept.results.iterdir() if file.stat().st_size > 1024]
    return (len(kept.images), len(whole)) == (6, 3)


def test_a_delivered_study_goes_after_its_days_and_says_so(kept, tmp_path, capsys):
    for file in kept.results.iterdir():
        file.write_bytes(file.read_bytes() + b"\0" * 4096)
    kept.deliver()
    before = read_earlier(kept.results)
    kept.days_pass(1.9)
    kept.sweep()
    assert is_there(kept)
    kept.days_pass(0.2)
    kept.sweep()
    assert kept.images == []
    assert known_files(kept.index) == set()
    assert read_earlier(kept.results).uids == before.uids  # enough to replace them one day
    assert all(file.stat().st_size < 1024 for file in kept.results.iterdir())
    trail = (tmp_path / "audit" / "audit.log").read_text()
    assert trail.count("DICOM Study Deleted") == 1
    assert kept.study in trail
    config = tmp_path / "config.yaml"
    config.write_text(f"storage: {{directory: {tmp_path}}}\n")
    assert main(["studies", "--config", str(config)]) == 0
    assert "deleted (analysed)" in capsys.readouterr().out
    assert main(["studies", "--config", str(config), "show", kept.study]) == 0
    assert "its 6 images were deleted after delivery" in capsys.readouterr().out


def test_by_default_nothing_is_ever_deleted(kept):
    assert Config().storage.delete_after_days is None
    kept.deliver()
    kept.days_pass(10_000)
    kept.sweep(kept.shipping.config)
    assert len(kept.images) == 6


def test_what_was_not_delivered_stays(kept):
    kept.days_pass(100)
    kept.sweep()
    assert len(kept.images) == 6


def test_a_conflict_kept_aside_keeps_the_study(kept):
    kept.deliver()
    other = study_of(6, seed="shipping")[0]
    other.InstanceNumber = 99
    assert kept.take(other) != 0
    with kept.index.begin() as connection:
        assert len(connection.execute(CONFLICT.select()).all()) == 1
    kept.days_pass(100)
    kept.sweep()
    assert len(kept.images) == 7


def test_a_conflict_with_an_image_that_names_another_study_keeps_the_study(kept):
    kept.deliver()
    other = study_of(6, seed="shipping")[0]
    other.StudyInstanceUID = "1.2.826.0.1.99"
    assert kept.take(other) != 0
    kept.days_pass(100)
    kept.sweep()
    assert len(kept.images) == 7
    assert [one.study_uid for one in conflicts(kept.index)] == ["1.2.826.0.1.99"]


def test_a_late_image_keeps_the_study(kept):
    kept.deliver()
    kept.days_pass(100)
    kept.take(study_of(7, seed="shipping")[6])
    kept.sweep()
    assert len(kept.images) == 7


PACS = {"pacs": Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=104)}


@pytest.mark.parametrize(
    ("state", "kind", "may_go"),
    [
        (DeliveryState.STORED, "pictures", True),
        (DeliveryState.SUPERSEDED, "pictures", True),
        (DeliveryState.HELD, "pictures", True),  # never needed
        (DeliveryState.HELD, "rejection", False),
        (DeliveryState.PENDING, "pictures", False),
        (DeliveryState.EXPIRED, "pictures", False),
        (DeliveryState.CANCELLED, "pictures", False),
        (DeliveryState.REFUSED, "pictures", False),
        (DeliveryState.STOOD_IN, "parametric-map", True),
    ],
)
def test_each_row_of_the_ledger_must_be_settled(kept, state, kind, may_go):
    kept.deliver()
    study = kept.candidate
    changed = replace(study.deliveries[0], state=state, kind=kind)
    rows = [row for row in study.deliveries if row.kind != kind]
    study = replace(study, deliveries=(changed, *rows))
    assert (why_kept(study, PACS) is None) is may_go


def test_what_is_to_be_confirmed_stays_until_it_is(begin):
    kept = begin(confirm="find")
    kept.deliver()
    asked = {"pacs": PACS["pacs"].model_copy(update={"confirm": "find"})}
    assert why_kept(kept.candidate, asked) == "mbf-mr to pacs: not confirmed"
    rows = tuple(replace(row, confirmation="confirmed") for row in kept.candidate.deliveries)
    assert why_kept(replace(kept.candidate, deliveries=rows), asked) is None


def test_without_a_destination_or_an_analysis_a_study_stays(kept):
    assert why_kept(kept.candidate, {}) is not None
    kept.deliver()
    failed = replace(kept.candidate.job, state=JobState.FAILED)
    assert why_kept(replace(kept.candidate, job=failed), PACS) == "it is not analysed"
    for verdict in ("analysed", "withheld"):
        unsent = replace(kept.candidate.job, verdict=verdict)
        assert why_kept(replace(kept.candidate, job=unsent, deliveries=()), PACS) == (
            "no destination has its results"
        )
    nothing = replace(kept.candidate.job, verdict="nothing")
    assert why_kept(replace(kept.candidate, job=nothing, deliveries=()), PACS) is None


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


def test_a_study_that_is_deleted_is_no_candidate_any_more(kept):
    kept.deliver()
    kept.days_pass(3)
    assert len(list(quiet_studies(kept.index, kept.now_s))) == 1
    kept.sweep()
    assert list(quiet_studies(kept.index, kept.now_s)) == []
    assert len(KINDS) == len(list(kept.results.iterdir()))
