"""`perfusion-node studies`: what is in the node, how far, what failed and why."""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime

import sqlalchemy as sa

from node.arguments import add_actions
from node.completion import judge
from node.config import Completion, load_config
from node.errors import NodeError
from node.index import jobs, ledger
from node.index.conflicts import conflicts
from node.index.holdings import study_arrivals
from node.index.jobs import Job
from node.index.ledger import Delivery
from node.index.overview import ARRIVING, DELETED, StudyOverview, overview
from node.index.tables import open_index

HELP = "what is in the node, how far, what failed and why; retry or cancel it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions and options of the command."""
    add_actions(
        parser,
        listing="one line a study, the newest first",
        others={
            "show": "everything about one study",
            "retry": "analyse again what failed, send again what was given up or waits",
            "cancel": "neither analyse nor send any more of it",
        },
        of="STUDY_UID",
    )


def run(arguments: argparse.Namespace) -> int:
    """Do one action on the index; the worker sees it within a second."""
    config = load_config(arguments.config)
    index = open_index(config.storage)
    try:
        if arguments.action in (None, "list"):
            _list(index, as_json=arguments.json)
        elif arguments.action == "show":
            _show(index, arguments.study_uid, config.completion, as_json=arguments.json)
        elif arguments.action == "retry":
            _retry(index, arguments.study_uid)
        else:
            _cancel(index, arguments.study_uid)
    finally:
        index.dispose()
    return 0


def _list(index: sa.Engine, *, as_json: bool) -> None:
    found = overview(index)
    aside = Counter(conflict.study_uid for conflict in conflicts(index))
    if as_json:
        rows = [{**vars(study), "conflicts": aside[study.study_uid]} for study in found]
        print(json.dumps(rows, indent=2, default=dict))
        return
    if not found:
        print("no studies")
    for study in found:
        words = [
            _time(study.last_s),
            study.study_uid,
            f"{study.images} images",
            f"revision {study.revision}",
            study.state if not study.verdict else f"{study.state} ({study.verdict})",
            study.delivered,
            f"{aside[study.study_uid]} CONFLICTS" if aside[study.study_uid] else "",
            "NEEDS A PERSON" if study.needs_a_person else "",
        ]
        print("  ".join(word for word in words if word))


def _show(index: sa.Engine, study_uid: str, patience: Completion, *, as_json: bool) -> None:
    study = _known(index, study_uid)
    waits = tuple(_waits(index, study, patience))
    runs = jobs.jobs(index, study_uid=study_uid)
    rows = ledger.study_deliveries(index, study_uid)
    if as_json:
        everything = {
            **vars(study),
            "waits": waits,
            "jobs": [vars(job) for job in runs],
            "deliveries": [vars(row) for row in rows],
        }
        print(json.dumps(everything, indent=2, default=dict))
        return
    if study.state == DELETED:
        print(f"study {study.study_uid}: {study.reason}, at {_time(study.last_s)}")
    else:
        print(f"study {study.study_uid}: {study.images} images, the last at {_time(study.last_s)}")
    for wait in waits:
        print(f"  {wait}")
    _print_jobs(runs)
    _print_deliveries(rows)


def _waits(index: sa.Engine, study: StudyOverview, patience: Completion) -> Iterator[str]:
    """Say what keeps a study from being analysed, and for how long at the most."""
    arrived = study_arrivals(index, study.study_uid) if study.state == ARRIVING else None
    if arrived is None:
        return
    verdict = judge(arrived, time.time(), patience)
    yield from (f"waits for {what}" for what in verdict.waiting_for)
    yield from (f"incomplete, and silent for long: {what}" for what in verdict.missing)
    if verdict.look_again_s is not None:
        yield f"analysed in {verdict.look_again_s:.0f} s, if nothing more comes"


def _print_jobs(runs: Sequence[Job]) -> None:
    for job in runs:
        attempt = f", attempt {job.attempt + 1}" if job.attempt else ""
        said = ": ".join(word for word in (job.verdict, job.reason) if word)
        print(f"  revision {job.revision}: {job.state}{attempt}  {said}")


def _print_deliveries(rows: Sequence[Delivery]) -> None:
    for row in rows:
        retry = f", next try {_time(row.next_try_s)}" if row.state == "pending" else ""
        said = f": {row.reason}" if row.reason else ""
        confirmed = f", {row.confirmation}" if row.confirmation else ""
        print(
            f"  {row.kind} {row.sop_instance_uid} to {row.destination}: {row.state}{confirmed} "
            f"after {row.attempts} attempt(s){retry}{said}"
        )


def _retry(index: sa.Engine, study_uid: str) -> None:
    study = _known(index, study_uid)
    again = jobs.retry_job(index, study_uid, study.revision, time.time())
    sent = ledger.retry_deliveries(index, study_uid, time.time())
    if not again and not sent:
        raise NodeError("nothing of this study has failed or waits")
    print("it is analysed again" if again else f"{sent} deliveries are tried again")


def _cancel(index: sa.Engine, study_uid: str) -> None:
    study = _known(index, study_uid)
    stopped = jobs.cancel_job(index, study_uid, study.revision, time.time())
    unsent = ledger.cancel_deliveries(index, study_uid, time.time())
    if not stopped and not unsent:
        raise NodeError("nothing of this study is under way")
    print("the analysis is cancelled" if stopped else f"{unsent} deliveries are cancelled")


def _known(index: sa.Engine, study_uid: str) -> StudyOverview:
    found = overview(index, study_uid=study_uid)
    if not found:
        raise NodeError("this study is not in the node")
    return found[0]


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")
