"""Who may come in: a table of peers and settings."""

import pytest

from node.config import Receive, Sender, Tls
from node.receive.gate import (
    CALLED_AE_UNKNOWN,
    CALLING_AE_UNKNOWN,
    WRONG_ADDRESS,
    WRONG_CERTIFICATE,
    Peer,
    refusal,
)

KNOWN = "a" * 64


def peer(calling="SCANNER", called="PERFUSION", address="10.1.2.3", certificate=None) -> Peer:
    return Peer(calling_ae=calling, called_ae=called, address=address, certificate=certificate)


OPEN = Receive()
BY_TITLE = Receive(calling_ae_titles=("SCANNER",))
BY_NETWORK = Receive(senders=(Sender(ae_title="SCANNER", addresses=("10.1.0.0/16", "fe80::/10")),))
TLS = Tls(certificate="node.pem", private_key="node.key", authorities="ca.pem")
BY_CERTIFICATE = Receive(tls=TLS, senders=(Sender(ae_title="SCANNER", certificates=(KNOWN,)),))
TWICE = Receive(
    tls=TLS,
    senders=(
        Sender(ae_title="SCANNER", addresses=("10.1.2.3",)),
        Sender(ae_title="SCANNER", addresses=("10.9.9.9",), certificates=(KNOWN,)),
    ),
)


@pytest.mark.parametrize(
    ("who", "settings", "expected"),
    [
        (peer(), OPEN, None),
        (peer(called="perfusion"), OPEN, CALLED_AE_UNKNOWN),
        (peer(), BY_TITLE, None),
        (peer(calling="scanner"), BY_TITLE, CALLING_AE_UNKNOWN),
        (peer(), BY_NETWORK, None),
        (peer(address="10.2.0.1"), BY_NETWORK, WRONG_ADDRESS),
        (peer(address="::ffff:10.1.2.3"), BY_NETWORK, None),
        (peer(address="fe80::1%eth0"), BY_NETWORK, None),
        (peer(calling="OTHER"), BY_NETWORK, CALLING_AE_UNKNOWN),
        (peer(certificate=KNOWN), BY_CERTIFICATE, None),
        (peer(certificate="b" * 64), BY_CERTIFICATE, WRONG_CERTIFICATE),
        (peer(), BY_CERTIFICATE, WRONG_CERTIFICATE),
        (peer(), TWICE, None),
        (peer(address="10.9.9.9"), TWICE, WRONG_CERTIFICATE),
        (peer(address="10.9.9.9", certificate=KNOWN), TWICE, None),
        (peer(address="10.9.9.8", certificate=KNOWN), TWICE, WRONG_ADDRESS),
    ],
)
def test_a_peer_comes_in_only_as_configured(who, settings, expected):
    assert refusal(who, settings) == expected
