import pytest

from node.config import Storage
from node.index import entry, ledger
from node.index.ledger import DeliveryState, Result
from node.index.tables import open_index

STUDY = "1.2.3"
PENDING = DeliveryState.PENDING


@pytest.fixture
def index(tmp_path):
    engine = open_index(Storage(directory=tmp_path))
    yield engine
    engine.dispose()


def result(number: int, kind: str = "pictures", folder: str = "a") -> Result:
    return Result(
        sop_instance_uid=f"2.25.{number}",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.7",
        kind=kind,
        file=f"{folder}/{number}.dcm",
    )


def register(index, results, *, revision=1, states=None, now_s=100.0):
    states = states or dict.fromkeys({made.kind for made in results}, PENDING)
    entry.register(index, STUDY, revision, results, first_states={"pacs": states}, now_s=now_s)


def settle(index, row, state, *, next_try_s=0.0):
    ledger.settle(
        index, row, state=state, status=None, reason="", next_try_s=next_try_s, now_s=200.0
    )


def states(index):
    return {row.sop_instance_uid: row.state for row in ledger.study_deliveries(index, STUDY)}


def only(index):
    (consignment,) = ledger.consignments(index)
    return consignment


def test_registering_twice_changes_nothing(index):
    register(index, [result(1), result(2)])
    before = ledger.study_deliveries(index, STUDY)
    register(index, [result(1), result(2)], now_s=900.0)
    assert ledger.study_deliveries(index, STUDY) == before


def test_what_is_stored_is_never_pending_again(index):
    register(index, [result(1)])
    (row,) = ledger.study_deliveries(index, STUDY)
    settle(index, row, DeliveryState.STORED)
    settle(index, row, PENDING)
    register(index, [result(1)], revision=2)
    ledger.retry_deliveries(index, STUDY, 300.0)
    assert states(index) == {"2.25.1": DeliveryState.STORED}
    assert ledger.consignments(index) == ()


def test_a_later_revision_takes_over_what_was_not_sent(index):
    register(index, [result(1), result(2)])
    register(index, [result(2, folder="b"), result(3, folder="b")], revision=2)
    assert states(index) == {
        "2.25.1": DeliveryState.SUPERSEDED,
        "2.25.2": PENDING,
        "2.25.3": PENDING,
    }
    assert only(index).revision == 2
    assert {row.file for row in ledger.due(index, only(index))} == {"b/2.dcm", "b/3.dcm"}


def test_each_claim_names_a_new_round_even_when_a_person_revives_an_old_row(index):
    register(index, [result(1), result(2)])
    old, young = ledger.study_deliveries(index, STUDY)
    ledger.claim(index, only(index), not_before_s=0.0)
    settle(index, old, DeliveryState.REFUSED)
    for _ in range(3):
        ledger.claim(index, only(index), not_before_s=0.0)
    settle(index, young, DeliveryState.STORED)
    ledger.retry_deliveries(index, STUDY, 300.0)
    assert only(index).round == 4
    ledger.claim(index, only(index), not_before_s=0.0)
    assert only(index).round == 5


def test_a_claim_that_is_repeated_counts_once(index):
    register(index, [result(1)])
    consignment = only(index)
    ledger.claim(index, consignment, not_before_s=0.0)
    ledger.claim(index, consignment, not_before_s=0.0)
    assert only(index).round == 1


def test_a_consignment_is_due_with_its_earliest_pending_row(index):
    register(index, [result(1), result(2)])
    early, late = ledger.study_deliveries(index, STUDY)
    settle(index, early, PENDING, next_try_s=500.0)
    settle(index, late, PENDING, next_try_s=700.0)
    assert only(index).next_try_s == 500.0


def test_held_rows_go_when_what_they_stand_in_for_is_refused(index):
    made = [result(1, "parametric-map"), result(2, "mbf-mr")]
    register(index, made, states={"parametric-map": PENDING, "mbf-mr": DeliveryState.HELD})
    refused = next(
        row for row in ledger.study_deliveries(index, STUDY) if row.kind == "parametric-map"
    )
    settle(index, refused, DeliveryState.REFUSED)
    assert ledger.consignments(index) == ()
    assert ledger.stand_in(index, refused, "mbf-mr", 300.0)
    assert [row.kind for row in ledger.due(index, only(index))] == ["mbf-mr"]


def test_cancelled_rows_are_not_sent(index):
    register(index, [result(1)])
    assert ledger.cancel_deliveries(index, STUDY, 300.0) == 1
    assert ledger.consignments(index) == ()
