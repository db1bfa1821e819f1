"""Destinations that are away, refuse, warn, hang, close: nothing is lost, nothing comes twice."""

import socket
import subprocess
import threading
import time

import pytest
from pydicom.uid import (
    ImplicitVRLittleEndian,
    MRImageStorage,
    SecondaryCaptureImageStorage,
)

from node.index import ledger
from node.index.ledger import DeliveryState
from tests.peers import Pacs, free_port
from tests.shipping import HOUR_S, KINDS, LONGEST_S, Shipping

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket")


@pytest.fixture
def ship(tmp_path):
    """Build a shipping to a PACS that runs, or to one that is yet to be started."""
    made = []

    def build(pacs=None, **rules):
        pacs = pacs or Pacs().start()
        made.append(Shipping(tmp_path, pacs, **rules))
        return made[-1]

    yield build
    for shipping in made:
        shipping.pacs.stop()
        shipping.index.dispose()


def all_in(state):
    return dict.fromkeys(KINDS, state)


def test_a_pacs_that_is_away_for_three_days_gets_everything_once(ship):
    shipping = ship(Pacs())
    began_s = shipping.now_s
    attempts = 0
    while shipping.now_s - began_s < 72 * HOUR_S:
        assert shipping.attempt()
        attempts += 1
    assert shipping.states == all_in(DeliveryState.PENDING)
    assert 72 * HOUR_S / LONGEST_S < attempts < 60  # never longer apart, and no storm
    shipping.pacs.start()
    shipping.attempt()
    assert shipping.states == all_in(DeliveryState.STORED)
    assert set(shipping.pacs.stored.values()) == {1}
    assert len(shipping.pacs.stored) == 3


def test_after_four_days_a_person_is_asked_and_can_send_again(ship):
    shipping = ship(Pacs())
    while shipping.attempt():
        pass
    assert shipping.states == all_in(DeliveryState.EXPIRED)
    shipping.pacs.start()
    assert ledger.retry_deliveries(shipping.index, shipping.study, shipping.now_s) == 3
    shipping.attempt()
    assert shipping.states == all_in(DeliveryState.STORED)


def test_a_warning_counts_as_stored_and_is_kept(ship):
    shipping = ship()
    shipping.pacs.answer = lambda _: 0xB007
    shipping.attempt()
    assert shipping.states == all_in(DeliveryState.STORED)
    assert {row.status for row in shipping.rows.values()} == {0xB007}
    assert not shipping.attempt()


def test_out_of_resources_is_tried_again_and_a_refusal_is_not(ship):
    shipping = ship()
    shipping.pacs.answer = lambda event: (
        0xC000 if event.request.AffectedSOPClassUID == MRImageStorage else 0xA700
    )
    shipping.attempt()
    assert shipping.states == {
        "parametric-map": DeliveryState.PENDING,
        "mbf-mr": DeliveryState.STOOD_IN,
        "pictures": DeliveryState.PENDING,
    }
    shipping.pacs.answer = lambda _: 0x0000
    shipping.attempt()
    assert shipping.rows["mbf-mr"].state is DeliveryState.STOOD_IN
    assert shipping.rows["pictures"].attempts == 2
    assert len(shipping.pacs.stored) == 2


def test_what_is_there_already_counts_as_stored(ship):
    shipping = ship()
    shipping.pacs.answer = lambda _: 0x0111
    shipping.attempt()
    assert shipping.states == all_in(DeliveryState.STORED)


def test_without_a_context_the_next_rung_of_the_ladder_is_sent(ship):
    pacs = Pacs(contexts=[SecondaryCaptureImageStorage]).start()
    shipping = ship(pacs, objects=["parametric-map"])
    while shipping.attempt():
        pass
    assert shipping.states == {
        "parametric-map": DeliveryState.STOOD_IN,
        "mbf-mr": DeliveryState.STOOD_IN,
        "pictures": DeliveryState.STORED,
    }
    assert "no presentation context" in shipping.rows["parametric-map"].reason
    assert len(pacs.offered) == 1


def test_a_pacs_that_knows_only_mr_and_pictures_in_implicit_vr_gets_what_it_can_show(ship):
    pacs = Pacs(contexts=[MRImageStorage, SecondaryCaptureImageStorage]).start()
    shipping = ship(pacs, objects=["parametric-map", "pictures"])
    while shipping.attempt():
        pass
    assert shipping.states == {
        "parametric-map": DeliveryState.STOOD_IN,
        "mbf-mr": DeliveryState.STORED,
        "pictures": DeliveryState.STORED,
    }
    assert "no presentation context" in shipping.rows["parametric-map"].reason


def test_a_destination_with_its_own_syntax_is_sent_only_that(ship):
    shipping = ship(transfer_syntaxes=["implicit-vr-little-endian"])
    seen = set()

    def note(event):
        seen.add(event.context.transfer_syntax)
        return 0x0000

    shipping.pacs.answer = note
    shipping.attempt()
    assert seen == {ImplicitVRLittleEndian}
    assert shipping.states == all_in(DeliveryState.STORED)


def test_a_pacs_that_closes_in_the_middle_gets_the_rest_later(ship):
    shipping = ship()

    def abort_at_the_second(event):
        if len(shipping.pacs.offered) == 2:
            event.assoc.abort()
        return 0x0000

    shipping.pacs.answer = abort_at_the_second
    shipping.attempt()
    states = list(shipping.states.values())
    assert states.count(DeliveryState.STORED) == 1
    assert states.count(DeliveryState.PENDING) == 2
    shipping.pacs.answer = lambda _: 0x0000
    shipping.attempt()
    assert shipping.states == all_in(DeliveryState.STORED)
    # The second was stored although its answer was lost: sent again under the same UID.
    assert len(shipping.pacs.stored) == 3
    assert sorted(shipping.pacs.offered.values()) == [1, 1, 2]


def test_a_pacs_that_hangs_is_given_up_after_the_timeout(ship):
    listener = socket.create_server(("127.0.0.1", 0))
    hanging = Pacs(port=listener.getsockname()[1])
    shipping = ship(hanging)
    began_s = time.monotonic()
    shipping.attempt()
    assert time.monotonic() - began_s < 30
    assert shipping.states == all_in(DeliveryState.PENDING)
    listener.close()


def test_a_pacs_that_hangs_in_an_answer_is_left_and_tried_again(ship):
    shipping = ship()
    held = threading.Event()

    def hang(_):
        held.wait(5)
        return 0x0000

    shipping.pacs.answer = hang
    shipping.attempt()
    assert DeliveryState.PENDING in shipping.states.values()
    held.set()
    shipping.pacs.answer = lambda _: 0x0000
    shipping.attempt()
    assert shipping.states == all_in(DeliveryState.STORED)
    assert len(shipping.pacs.stored) == 3


def test_a_result_whose_file_is_gone_is_said_and_the_others_go(ship, tmp_path):
    shipping = ship()
    (tmp_path / "results" / "a" / "pictures.dcm").unlink()
    shipping.attempt()
    assert shipping.rows["pictures"].state is DeliveryState.REFUSED
    assert "gone" in shipping.rows["pictures"].reason
    assert len(shipping.pacs.stored) == 2


@pytest.mark.peer
def test_dcmtk_storescp_takes_everything(ship, program, tmp_path):
    port = free_port()
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    server = subprocess.Popen(
        [program("storescp"), "--promiscuous", "--output-directory", str(inbox), str(port)]
    )
    try:
        shipping = ship(Pacs(port=port))
        deadline = time.monotonic() + 30
        while DeliveryState.PENDING in shipping.states.values():
            assert time.monotonic() < deadline
            shipping.attempt()
            time.sleep(0.1)
        assert len(list(inbox.iterdir())) == 3
        assert {row.status for row in shipping.rows.values()} == {0}
    finally:
        server.terminate()
        server.wait()


def test_a_rejected_association_is_tried_again_and_says_why(ship):
    shipping = ship(Pacs(known_callers=["SOMEBODY"]).start())
    shipping.attempt()
    assert shipping.states == all_in(DeliveryState.PENDING)
    assert "calling ae title not recognised" in shipping.rows["pictures"].reason.lower()


def test_what_was_sent_and_what_failed_is_in_the_audit_trail(ship, tmp_path):
    shipping = ship()
    shipping.pacs.answer = lambda event: (
        0xA700 if event.request.AffectedSOPClassUID == MRImageStorage else 0x0000
    )
    shipping.attempt()
    began, sent = (tmp_path / "audit" / "audit.log").read_text().splitlines()
    assert "Begin Transferring DICOM Instances" in began
    assert 'EventOutcomeIndicator="4"' in sent
    assert shipping.study in sent
    assert "Markedname" not in sent


def test_results_are_sent_though_nothing_can_be_written_about_them(ship, tmp_path):
    (tmp_path / "audit" / "audit.log").mkdir(parents=True)
    shipping = ship()
    shipping.attempt()
    assert shipping.states == all_in(DeliveryState.STORED)
