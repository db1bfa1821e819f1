"""Destinations are asked what they have; what they lost comes again, what they have does not."""

import pytest
from pydicom.uid import MRImageStorage, SecondaryCaptureImageStorage

from node.deliver.confirm import Confirmer, transaction_of
from node.index import confirmations
from node.index.confirmations import Confirmation
from node.index.ledger import DeliveryState
from tests.peers import Pacs
from tests.shipping import HOUR_S, KINDS, Shipping

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket")


class Asking:
    """A shipping whose destination is asked afterwards."""

    def __init__(self, shipping) -> None:
        self.shipping = shipping
        self.confirmer = Confirmer(
            shipping.index,
            shipping.config,
            results=shipping.config.storage.directory / "results",
            clock=lambda: shipping.now_s,
        )

    def ask(self) -> bool:
        """Ask the question that is due next, moving the clock to it; False if there is none."""
        waiting = confirmations.questions(self.shipping.index, ["pacs"])
        if not waiting:
            return False
        (consignment,) = waiting
        self.shipping.now_s = max(self.shipping.now_s, consignment.next_try_s)
        key = f"confirm:{consignment.round}"
        self.confirmer.claim(key, consignment)
        self.confirmer.ask(key, consignment)
        return True

    @property
    def answers(self):
        return {kind: row.confirmation for kind, row in self.shipping.rows.items()}


@pytest.fixture
def asking(tmp_path):
    made = []

    def build(way, pacs=None):
        shipping = Shipping(tmp_path, pacs or Pacs().start(), confirm=way)
        made.append(shipping)
        return Asking(shipping)

    yield build
    for shipping in made:
        shipping.pacs.stop()
        shipping.index.dispose()


@pytest.mark.parametrize("way", ["find", "commitment"])
def test_what_is_there_is_confirmed_and_not_asked_again(asking, way):
    question = asking(way)
    question.shipping.attempt()
    assert question.ask()
    assert question.answers == dict.fromkeys(KINDS, Confirmation.CONFIRMED)
    assert not question.ask()


@pytest.mark.parametrize("way", ["find", "commitment"])
def test_what_the_pacs_lost_is_sent_again_and_confirmed_then(asking, way):
    question = asking(way)
    shipping = question.shipping
    shipping.attempt()
    lost = shipping.rows["pictures"].sop_instance_uid
    del shipping.pacs.stored[lost]
    question.ask()
    assert shipping.states["pictures"] is DeliveryState.PENDING
    assert "does not have it" in shipping.rows["pictures"].reason
    shipping.attempt()
    question.ask()
    assert question.answers == dict.fromkeys(KINDS, Confirmation.CONFIRMED)
    assert shipping.pacs.offered[lost] == 2
    assert sorted(shipping.pacs.offered.values()) == [1, 1, 2]


@pytest.mark.parametrize("way", ["find", "commitment"])
def test_a_pacs_that_is_away_is_asked_again_later(asking, way):
    question = asking(way)
    question.shipping.attempt()
    question.shipping.pacs.stop()
    question.ask()
    assert question.answers == dict.fromkeys(KINDS, Confirmation.ASKED)
    question.shipping.pacs.start()
    question.ask()
    assert question.answers == dict.fromkeys(KINDS, Confirmation.CONFIRMED)


def test_a_report_may_come_much_later_and_only_once(asking):
    question = asking("commitment")
    pacs = question.shipping.pacs
    pacs.reports = False
    question.shipping.attempt()
    question.ask()
    assert question.answers == dict.fromkeys(KINDS, Confirmation.ASKED)
    (request,) = pacs.asked
    report = pacs.report_on(request)
    assert confirmations.record_report(question.shipping.index, report, 0.0) == 3
    assert confirmations.record_report(question.shipping.index, report, 0.0) == 0
    assert question.answers == dict.fromkeys(KINDS, Confirmation.CONFIRMED)


def test_a_report_that_never_comes_is_asked_for_in_a_new_transaction(asking):
    question = asking("commitment")
    question.shipping.pacs.reports = False
    question.shipping.attempt()
    question.ask()
    question.ask()
    first, second = question.shipping.pacs.asked
    assert first.TransactionUID != second.TransactionUID
    late = question.shipping.pacs.report_on(first)
    assert confirmations.record_report(question.shipping.index, late, 0.0) == 0


def test_a_pacs_that_offers_no_commitment_leaves_results_stored_and_says_so(asking):
    takes_only = [SecondaryCaptureImageStorage, MRImageStorage]
    question = asking("commitment", Pacs(contexts=takes_only).start())
    while question.shipping.attempt():
        pass
    question.ask()
    assert question.answers["pictures"] == Confirmation.UNCONFIRMED
    assert question.shipping.states["pictures"] is DeliveryState.STORED
    assert not question.ask()


def test_asking_ends_after_the_configured_patience(asking):
    question = asking("find")
    question.shipping.attempt()
    question.shipping.pacs.stop()
    questions = 0
    began_s = question.shipping.now_s
    while question.ask():
        questions += 1
    assert question.shipping.now_s - began_s < 102 * HOUR_S
    assert 20 < questions < 30
    assert question.answers == dict.fromkeys(KINDS, Confirmation.UNCONFIRMED)


def test_a_repeated_question_is_the_same_transaction():
    assert transaction_of("confirm:1") == transaction_of("confirm:1")
    assert transaction_of("confirm:1") != transaction_of("confirm:2")
    assert len(transaction_of("confirm:1")) <= 64


@pytest.mark.peer
def test_orthanc_is_asked_by_c_find(asking, own_orthanc):
    orthanc = own_orthanc(DicomAlwaysAllowFind=True)
    question = asking("find", Pacs(port=orthanc.dicom_port))
    while DeliveryState.PENDING in question.shipping.states.values():
        question.shipping.attempt()
    question.ask()
    assert question.answers == dict.fromkeys(KINDS, Confirmation.CONFIRMED)
