"""From the configuration of a PACS to how it is called."""

from collections.abc import Mapping

from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from node.config import Archive, Config, Destination
from node.store_scu import Peer
from node.tls import client_context

PLAIN_SYNTAXES: Mapping[str, UID] = {
    "explicit-vr-little-endian": ExplicitVRLittleEndian,
    "implicit-vr-little-endian": ImplicitVRLittleEndian,
}


def own_receiver(config: Config, *, calling_ae_title: str) -> Peer:
    """Say how the receiver of this node is called by somebody of this machine."""
    receive = config.receive
    anywhere = receive.host in ("0.0.0.0", "::")  # noqa: S104  compared, not listened on
    return Peer(
        host="127.0.0.1" if anywhere else receive.host,
        port=receive.port,
        ae_title=receive.ae_title,
        calling_ae_title=calling_ae_title,
        timeout_s=receive.network_timeout_s,
        tls=None if receive.tls is None else client_context(receive.tls, check_host_name=False),
    )


def peer_of(archive: Archive, config: Config) -> Peer:
    """Say how a configured PACS is called."""
    syntaxes = archive.transfer_syntaxes if isinstance(archive, Destination) else PLAIN_SYNTAXES
    return Peer(
        host=archive.host,
        port=archive.port,
        ae_title=archive.ae_title,
        calling_ae_title=archive.calling_ae_title or config.receive.ae_title,
        timeout_s=config.delivery.timeout_s,
        tls=None
        if archive.tls is None
        else client_context(archive.tls, check_host_name=archive.check_host_name),
        plain_syntaxes=tuple(PLAIN_SYNTAXES[name] for name in syntaxes),
    )
