"""A node that has analysed and delivered a study, and may delete it."""

import sqlalchemy as sa

from node.audit import AuditTrail
from node.index import jobs, ledger
from node.index.entry import RESULT
from node.index.jobs import JobState, Place
from node.index.ledger import DELIVERY
from node.index.retirement import Candidate
from node.index.tables import INSTANCE
from node.receive.intake import Intake
from node.spool import Spool
from node.workflow.folders import Folders
from node.workflow.retention import Retention
from tests.peers import Pacs, study_of
from tests.receiving import encoded, take
from tests.shipping import Shipping

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
        place = (results / "a", self.study, 1, 0)
        name = Folders(self.config.storage).keep_results(*place, said={})["folder"]
        with self.index.begin() as connection:
            for table in (RESULT, DELIVERY):
                moved = sa.func.replace(table.c.file, "a/", f"{name}/")
                connection.execute(table.update().values(file=moved))
        self.results = results / name

    @property
    def now_s(self):
        return self.shipping.now_s

    def end(self, revision, state=JobState.DONE):
        jobs.begin_job(self.index, Place(self.study, revision, 0), self.now_s)
        jobs.end_job(
            self.index, Place(self.study, revision, 0),
            state=state, verdict="analysed", reason="", now_s=self.now_s,
        )  # fmt: skip

    def take(self, image):
        """Receive an image, as the receiver does; returns the status."""
        intake = Intake(self.spool, self.index)
        status = take(intake, str(image.SOPInstanceUID), encoded(image))
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
