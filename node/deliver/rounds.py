"""Rounds of delivery: each consignment that is due gets one durable attempt after another.

A failed attempt holds no slot while it waits: the next one is a piece of work of its own, with
the time before which it must not begin.
"""

import logging
from collections.abc import Callable, Collection
from typing import Protocol

import sqlalchemy as sa

from node.deliver.attempt import Deliverer
from node.engine import Progress, Work
from node.index import ledger
from node.index.ledger import Consignment

log = logging.getLogger(__name__)

EARLIER_S = 1.0
"""A waiting attempt is moved only if it is wanted earlier by more than this."""


class Steps(Protocol):
    """The part of the engine that a handler uses."""

    def step(self, name: str, function: Callable[..., object], *args: object) -> object:
        """Run one step, once."""


class Driver(Protocol):
    """The part of the engine that a sweep uses."""

    def start(self, key: str, not_before_s: float | None = None) -> None:
        """Start a key unless it was started before; move it if it waits."""

    def status(self, key: str) -> Progress | None:
        """How far a key is."""


def lane(destination: str) -> str:
    """Name the lane of a destination: each has its own, so that one that hangs stops no other."""
    return f"deliver-{destination}"


def key_of(consignment: Consignment) -> str:
    """``deliver-<destination>:<study UID>:<revision>:<round>``."""
    return (
        f"{lane(consignment.destination)}:{consignment.study_uid}:{consignment.revision}"
        f":{consignment.round}"
    )


def consignment_of(key: str) -> Consignment:
    """Read a key that `key_of` wrote."""
    name, study_uid, revision, attempts = key.split(":")
    return Consignment(
        study_uid=study_uid,
        revision=int(revision),
        destination=name.removeprefix(lane("")),
        round=int(attempts),
        next_try_s=0.0,
    )


def handle(steps: Steps, index: sa.Engine, deliverer: Deliverer, key: str) -> None:
    """Make one attempt, the handler of every lane of delivery."""

    def claim(key: str) -> None:
        ledger.claim(index, consignment_of(key))

    def send(key: str) -> None:
        deliverer.attempt(consignment_of(key))

    steps.step("claim", claim, key)
    steps.step("send", send, key)


def drive_deliveries(
    index: sa.Engine,
    engine: Driver,
    live: dict[str, Work],
    *,
    destinations: Collection[str],
    now_s: float,
) -> None:
    """See to it that everything pending has its next attempt waiting or under way."""
    for consignment in ledger.consignments(index):
        if consignment.destination not in destinations:
            continue  # taken out of the configuration: its rows stay until it comes back
        key = key_of(consignment)
        work = live.get(key)
        if work is not None:
            _bring_forward(engine, key, work, consignment)
        elif engine.status(key) is None:
            at_s = consignment.next_try_s
            engine.start(key, at_s if at_s > now_s else None)
        else:
            # The attempt ended without counting itself: an error that nobody foresaw.
            log.error("an attempt to deliver to %s ended unforeseen", consignment.destination)
            ledger.claim(index, consignment)


def _bring_forward(engine: Driver, key: str, work: Work, consignment: Consignment) -> None:
    if work.not_before_s is not None and consignment.next_try_s < work.not_before_s - EARLIER_S:
        engine.start(key, consignment.next_try_s)
