"""One study on a workbench: steps at once, a small program for the analysis, the test's clock."""

import json
import sys
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
from node.workflow.study import StudyWork
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


def says(code, **changes):
    answer = json.dumps({**ANSWER, **changes})
    return f"{WRITES}print({answer!r}); sys.exit({code})"


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    made.arrive(1)
    made.arrive(2)
    made.freeze()
    yield made
    made.index.dispose()
