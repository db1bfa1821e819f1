"""Pure: what a destination gets, and what stands in for an object that it does not take."""

from collections.abc import Collection, Mapping

from node.config import Destination
from node.index.ledger import DeliveryState

STANDS_IN: Mapping[str, str] = {
    "parametric-map": "mbf-mr",
    "mbf-mr": "pictures",
    "segmentation": "pictures",
    "report": "pictures",
}
"""Kind -> the next rung down. The numbers of a Parametric Map are also in the derived MR series;
a Secondary Capture opens everywhere."""


def gets_results(destination: Destination, *, verdict: str, senders: Collection[str]) -> bool:
    """Whether a destination's rules let it have the results of a study at all."""
    if verdict not in destination.verdicts:
        return False
    return not destination.senders or not set(destination.senders).isdisjoint(senders)


def first_states(kinds: Collection[str], wanted: Collection[str]) -> dict[str, DeliveryState]:
    """In which state the deliveries of each kind begin at a destination.

    Wanted kinds (all, where none are named) are sent. The others wait as stand-ins where they are
    on a ladder below a wanted one, and are absent otherwise.
    """
    if not wanted:
        return dict.fromkeys(kinds, DeliveryState.PENDING)
    states = {kind: DeliveryState.PENDING for kind in kinds if kind in wanted}
    for kind in wanted:
        below = STANDS_IN.get(kind)
        while below is not None:
            if below in kinds:
                states.setdefault(below, DeliveryState.HELD)
            below = STANDS_IN.get(below)
    return states
