"""One attempt to bring one consignment to its destination."""

import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import sqlalchemy as sa

from node.audit import AuditTrail, Party
from node.config import Config
from node.deliver.retry import decide
from node.index import ledger
from node.index.ledger import Consignment, Delivery, DeliveryState
from node.peers import peer_of
from node.representation import STANDS_IN
from node.store_scu import Answer, AnswerKind, Instance, Peer, read_instance, store

log = logging.getLogger(__name__)


class Deliverer:
    """Sends what the ledger holds; every method may be repeated."""

    def __init__(
        self,
        index: sa.Engine,
        config: Config,
        *,
        results: Path,
        audit: AuditTrail,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._index = index
        self._patience = config.delivery
        self._peers: Mapping[str, Peer] = {
            destination.name: peer_of(destination, config)
            for destination in config.delivery.destinations
        }
        self._results = results
        self._audit = audit
        self._clock = clock

    def attempt(self, consignment: Consignment) -> None:
        """Send every pending row once and write down each answer as it comes.

        After a crash in the middle the rest is sent: rows that are stored are not pending.
        """
        rows = ledger.due(self._index, consignment)
        by_path = {self._results / row.file: row for row in rows}
        instances = self._readable(by_path)
        if not instances:
            return

        peer = self._peers[consignment.destination]
        party = Party(peer.ae_title, peer.host)
        stored: Counter[str] = Counter()

        def settle(instance: Instance, answer: Answer) -> None:
            self._settle(by_path[instance.path], answer)
            stored[instance.sop_class_uid] += answer.kind is AnswerKind.STORED

        intended = Counter(str(instance.sop_class_uid) for instance in instances)
        self._audit.begin_sending(party, consignment.study_uid, intended)
        store(peer, instances, settle)
        self._audit.instances_sent(
            party, consignment.study_uid, +stored, failed=len(instances) - stored.total()
        )

    def _readable(self, by_path: Mapping[Path, Delivery]) -> Sequence[Instance]:
        """Leave out (and settle) what is no longer on disk; the rest still goes."""
        instances = []
        for path, row in by_path.items():
            try:
                instances.append(read_instance(path))
            except (OSError, AttributeError, ValueError):
                gone = Answer(kind=AnswerKind.REFUSED, status=None, text="the file is gone or torn")
                self._settle(row, gone)
        return instances

    def _settle(self, row: Delivery, answer: Answer) -> None:
        now_s = self._clock()
        decision = decide(
            answer,
            attempts=row.attempts,
            waiting_s=now_s - row.created_s,
            now_s=now_s,
            patience=self._patience,
            jitter=random.random(),  # noqa: S311  spreads load, guards nothing
        )
        state, reason = decision.state, answer.text
        if state is DeliveryState.REFUSED:
            instead = self._step_down(row)
            if instead is not None:
                state, reason = DeliveryState.STOOD_IN, f"{reason}; {instead} stands in for it"
        ledger.settle(
            self._index,
            row,
            state=state,
            status=answer.status,
            reason=reason,
            next_try_s=decision.next_try_s,
            now_s=now_s,
        )
        log.info(
            "%s %s to %s: %s%s",
            row.kind,
            row.sop_instance_uid,
            row.destination,
            state,
            f" ({reason})" if reason else "",
        )

    def _step_down(self, refused: Delivery) -> str | None:
        """Let go what stands in for a refused object: the first rung of the ladder that exists."""
        below = STANDS_IN.get(refused.kind)
        while below is not None:
            if ledger.stand_in(self._index, refused, below, self._clock()):
                log.warning(
                    "%s goes to %s in place of %s, which was refused",
                    below,
                    refused.destination,
                    refused.kind,
                )
                return below
            below = STANDS_IN.get(below)
        return None
