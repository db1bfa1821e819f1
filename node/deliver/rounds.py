"""Rounds of errands: each consignment that waits gets one durable attempt after another.

An errand is to deliver results or to ask whether they are there. A failed attempt holds no slot
while it waits: the next one is a piece of work of its own, with the time before which it must not
begin.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from node.engine import Progress, Work
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


@dataclass(frozen=True, kw_only=True)
class Errand:
    """What is done for a consignment, in two steps that may each be repeated."""

    name: str
    waiting: Callable[[], Sequence[Consignment]]
    """Finds what is to be done, now or later."""
    claim: Callable[[str, Consignment], None]
    """Counts the attempt, before it is made."""
    make: Callable[[str, Consignment], None]

    def lane(self, destination: str) -> str:
        """Each destination has a lane of its own, so that one that hangs stops no other."""
        return f"{self.name}-{destination}"

    def key_of(self, consignment: Consignment) -> str:
        """``<errand>-<destination>:<study UID>:<revision>:<round>``."""
        return (
            f"{self.lane(consignment.destination)}:{consignment.study_uid}"
            f":{consignment.revision}:{consignment.round}"
        )

    def consignment_of(self, key: str) -> Consignment:
        """Read a key that `key_of` wrote."""
        name, study_uid, revision, attempts = key.split(":")
        return Consignment(
            study_uid=study_uid,
            revision=int(revision),
            destination=name.removeprefix(self.lane("")),
            round=int(attempts),
            next_try_s=0.0,
        )

    def handle(self, steps: Steps, key: str) -> None:
        """Make one attempt, the handler of every lane of this errand."""
        steps.step("claim", self._claim, key)
        steps.step("make", self._make, key)

    def drive(self, engine: Driver, live: dict[str, Work], now_s: float) -> None:
        """See to it that everything that waits has its next attempt waiting or under way."""
        for consignment in self.waiting():
            key = self.key_of(consignment)
            at_s = consignment.next_try_s
            work = live.get(key)
            if work is not None:
                if work.not_before_s is not None and at_s < work.not_before_s - EARLIER_S:
                    engine.start(key, at_s)
            elif engine.status(key) is None:
                if not self._is_under_way(engine, consignment):
                    engine.start(key, at_s if at_s > now_s else None)
            else:
                # The attempt ended without counting itself: an error that nobody foresaw.
                log.error("an attempt to %s ended unforeseen", self.lane(consignment.destination))
                self.claim(key, consignment)

    def _is_under_way(self, engine: Driver, consignment: Consignment) -> bool:
        """Whether the attempt that counted last is still being made: its rows wait for it."""
        if consignment.round == 0:
            return False
        last = self.key_of(replace(consignment, round=consignment.round - 1))
        return engine.status(last) in (Progress.WAITING, Progress.RUNNING)

    def _claim(self, key: str) -> None:
        self.claim(key, self.consignment_of(key))

    def _make(self, key: str) -> None:
        self.make(key, self.consignment_of(key))
