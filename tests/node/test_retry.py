import pytest

from node.config import Delivery
from node.deliver.retry import decide
from node.index.ledger import DeliveryState
from node.store_scu import Answer, AnswerKind, meaning

PATIENCE = Delivery(first_retry_s=30, longest_retry_s=3600, give_up_after_h=96)
NOW_S = 1_000_000.0


def decision(kind: AnswerKind, *, attempts=1, waiting_s=0.0, jitter=1.0):
    answer = Answer(kind=kind, status=None, text="")
    return decide(
        answer,
        attempts=attempts,
        waiting_s=waiting_s,
        now_s=NOW_S,
        patience=PATIENCE,
        jitter=jitter,
    )


@pytest.mark.parametrize(
    ("kind", "waiting_h", "state"),
    [
        (AnswerKind.STORED, 0, DeliveryState.STORED),
        (AnswerKind.STORED, 1000, DeliveryState.STORED),
        (AnswerKind.REFUSED, 0, DeliveryState.REFUSED),
        (AnswerKind.LATER, 0, DeliveryState.PENDING),
        (AnswerKind.LATER, 95, DeliveryState.PENDING),
        (AnswerKind.LATER, 97, DeliveryState.EXPIRED),
    ],
)
def test_what_becomes_of_a_delivery(kind, waiting_h, state):
    assert decision(kind, waiting_s=waiting_h * 3600).state is state


@pytest.mark.parametrize(
    ("attempts", "longest_s"),
    [(1, 30), (2, 60), (3, 120), (7, 1920), (8, 3600), (50, 3600), (5000, 3600)],
)
def test_the_wait_doubles_up_to_the_longest_and_is_spread_over_half_of_itself(attempts, longest_s):
    earliest = decision(AnswerKind.LATER, attempts=attempts, jitter=0.0).next_try_s - NOW_S
    latest = decision(AnswerKind.LATER, attempts=attempts, jitter=1.0).next_try_s - NOW_S
    assert (earliest, latest) == (longest_s / 2, longest_s)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (0x0000, AnswerKind.STORED),
        (0x0001, AnswerKind.STORED),
        (0x0107, AnswerKind.STORED),
        (0x0111, AnswerKind.STORED),
        (0xB000, AnswerKind.STORED),
        (0xB006, AnswerKind.STORED),
        (0xB007, AnswerKind.STORED),
        (0xA700, AnswerKind.LATER),
        (0xA7FF, AnswerKind.LATER),
        (0x0110, AnswerKind.LATER),
        (0x0213, AnswerKind.LATER),
        (0xFE00, AnswerKind.LATER),
        (0xA900, AnswerKind.REFUSED),
        (0xA9FF, AnswerKind.REFUSED),
        (0xC000, AnswerKind.REFUSED),
        (0xCFFF, AnswerKind.REFUSED),
        (0x0122, AnswerKind.REFUSED),
        (0x0124, AnswerKind.REFUSED),
        (0x1234, AnswerKind.REFUSED),
    ],
)
def test_each_status_means_one_thing(status, kind):
    assert meaning(status).kind is kind


def test_a_warning_is_stored_and_said():
    answer = meaning(0xB007)
    assert answer.status == 0xB007
    assert "warning" in answer.text
