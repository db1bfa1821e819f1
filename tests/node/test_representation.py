import pytest

from node.config import Destination
from node.index.ledger import DeliveryState
from node.representation import STANDS_IN, first_states, gets_results

MADE = {"reference", "segmentation", "parametric-map", "mbf-mr", "pictures"}


def test_a_destination_without_wishes_gets_everything():
    assert first_states(MADE, ()) == dict.fromkeys(MADE, DeliveryState.PENDING)


def test_what_stands_in_waits_until_it_is_needed():
    assert first_states(MADE, ("parametric-map",)) == {
        "parametric-map": DeliveryState.PENDING,
        "mbf-mr": DeliveryState.HELD,
        "pictures": DeliveryState.HELD,
    }


def test_what_is_wanted_for_itself_is_not_held():
    states = first_states(MADE, ("parametric-map", "pictures"))
    assert states["pictures"] is DeliveryState.PENDING


def test_what_was_not_made_has_no_row():
    assert first_states({"pictures"}, ("report",)) == {"pictures": DeliveryState.HELD}
    assert first_states({"reference"}, ("motion",)) == {}


def test_every_ladder_ends():
    for kind in STANDS_IN:
        seen = [kind]
        while seen[-1] in STANDS_IN:
            seen.append(STANDS_IN[seen[-1]])
            assert len(seen) <= len(STANDS_IN) + 1


@pytest.mark.parametrize(
    ("rules", "senders", "gets"),
    [
        ({}, {"SCANNER"}, True),
        ({"verdicts": ("analysed", "nothing")}, {"SCANNER"}, False),
        ({"senders": ("SCANNER",)}, {"SCANNER", "PACS"}, True),
        ({"senders": ("OTHER",)}, {"SCANNER"}, False),
        ({"senders": ("SCANNER",), "verdicts": ("analysed",)}, {"SCANNER"}, False),
    ],
)
def test_rules_of_a_destination_are_about_verdict_and_senders(rules, senders, gets):
    pacs = Destination(name="pacs", ae_title="PACS", host="pacs", port=104, **rules)
    assert gets_results(pacs, verdict="withheld", senders=senders) is gets
