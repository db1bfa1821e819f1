"""Pure: (answer, what was tried so far, now) -> what next."""

from dataclasses import dataclass

from node.config import Delivery as Patience
from node.index.ledger import DeliveryState
from node.store_scu import Answer, AnswerKind


@dataclass(frozen=True, kw_only=True)
class Decision:
    """The next state of a row, and when to try again, or to ask about it once it is stored."""

    state: DeliveryState
    next_try_s: float


def decide(
    answer: Answer,
    *,
    attempts: int,
    waiting_s: float,
    now_s: float,
    patience: Patience,
    jitter: float,
) -> Decision:
    """Say what becomes of a delivery.

    Parameters
    ----------
    attempts
        Attempts made, with the one that was just answered.
    waiting_s
        How long the delivery has been wanted [s].
    now_s
        Epoch seconds.
    jitter
        0 to 1, random: spreads the retries of many rows over half of the interval, so that a
        destination that comes back is not met by all of them at once.
    """
    if answer.kind is AnswerKind.STORED:
        return Decision(state=DeliveryState.STORED, next_try_s=now_s + patience.confirm_after_s)
    if answer.kind is AnswerKind.REFUSED:
        return Decision(state=DeliveryState.REFUSED, next_try_s=now_s)
    if waiting_s > patience.give_up_after_h * 3600:
        return Decision(state=DeliveryState.EXPIRED, next_try_s=now_s)
    doublings = min(max(attempts - 1, 0), 30)  # beyond, the longest interval holds anyway
    interval_s = min(patience.first_retry_s * 2**doublings, patience.longest_retry_s)
    return Decision(
        state=DeliveryState.PENDING, next_try_s=now_s + interval_s * (0.5 + 0.5 * jitter)
    )
