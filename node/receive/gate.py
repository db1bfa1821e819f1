"""Who may come in: called and calling AE title, address and certificate. Pure."""

from dataclasses import dataclass
from ipaddress import ip_address

from node.config import Receive, Sender


@dataclass(frozen=True)
class Peer:
    """What is known of a peer that asks for an association."""

    calling_ae: str
    called_ae: str
    address: str
    certificate: str | None = None
    """SHA-256 of its certificate, in lower case hexadecimal; None without TLS."""


@dataclass(frozen=True)
class Refusal:
    """An A-ASSOCIATE-RJ (PS3.8 table 9-21) and the reason for the log."""

    result: int
    source: int
    diagnostic: int
    reason: str
    is_security_matter: bool = False


CALLED_AE_UNKNOWN = Refusal(1, 1, 7, "called AE title not recognized")
CALLING_AE_UNKNOWN = Refusal(1, 1, 3, "calling AE title not recognized", is_security_matter=True)
WRONG_ADDRESS = Refusal(1, 1, 3, "AE title from a foreign address", is_security_matter=True)
WRONG_CERTIFICATE = Refusal(1, 1, 3, "AE title with another certificate", is_security_matter=True)
CONTEXT_UNKNOWN = Refusal(1, 1, 2, "application context name not supported")
VERSION_UNKNOWN = Refusal(1, 2, 2, "protocol version not supported")
TOO_MANY = Refusal(2, 3, 2, "local limit of associations exceeded")
NO_ROOM = Refusal(2, 3, 1, "no room in the spool")


def refusal(peer: Peer, settings: Receive) -> Refusal | None:
    """Return why the peer is refused, or None where it may come in."""
    if peer.called_ae != settings.ae_title:
        return CALLED_AE_UNKNOWN
    if not settings.calling_ae_titles and not settings.senders:
        return None
    if peer.calling_ae in settings.calling_ae_titles:
        return None
    senders = [sender for sender in settings.senders if sender.ae_title == peer.calling_ae]
    if not senders:
        return CALLING_AE_UNKNOWN
    here = [sender for sender in senders if _address_fits(sender, peer.address)]
    if not here:
        return WRONG_ADDRESS
    if not any(not s.certificates or peer.certificate in s.certificates for s in here):
        return WRONG_CERTIFICATE
    return None


def _address_fits(sender: Sender, address: str) -> bool:
    if not sender.addresses:
        return True
    own = ip_address(address.partition("%")[0])
    # An IPv4 peer of a socket that listens on both comes as ::ffff:a.b.c.d.
    own = getattr(own, "ipv4_mapped", None) or own
    return any(own in network for network in sender.addresses)
