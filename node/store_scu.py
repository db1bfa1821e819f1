"""C-STORE as a user: one association, a list of instances, an answer for each of them."""

import logging
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydicom import dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext

from node.index.ledger import NO_ANSWER

log = logging.getLogger(__name__)


_CONVERTIBLE = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)


class AnswerKind(StrEnum):
    """What an answer means for the sender."""

    STORED = "stored"
    """The peer has it, perhaps with a warning (PS3.4 table B.2-1)."""
    LATER = "later"
    """Trying again can help: no connection, out of resources, no answer."""
    REFUSED = "refused"
    """Trying again cannot help: the peer does not take this object."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of one instance."""

    kind: AnswerKind
    status: int | None
    """DIMSE status, if one came."""
    text: str


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Whom to call, as whom, and how patiently."""

    host: str
    port: int
    ae_title: str
    calling_ae_title: str
    timeout_s: float
    tls: ssl.SSLContext | None = None
    plain_syntaxes: tuple[UID, ...] = (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
    """In which uncompressed transfer syntaxes it may be sent to; we convert between these."""


@dataclass(frozen=True, kw_only=True)
class Instance:
    """One file to send and what is negotiated for it."""

    path: Path
    sop_class_uid: UID
    transfer_syntax_uid: UID


class NoAssociationError(Exception):
    """No association came about; the text says at which stage and why."""


class NothingAcceptedError(NoAssociationError):
    """The peer is there, but takes none of the objects that were proposed."""


def read_instance(path: Path) -> Instance:
    """Read from a file what must be known to negotiate for it."""
    meta = dcmread(path, stop_before_pixels=True, specific_tags=["SOPClassUID"]).file_meta
    return Instance(
        path=path,
        sop_class_uid=UID(meta.MediaStorageSOPClassUID),
        transfer_syntax_uid=UID(meta.TransferSyntaxUID),
    )


def store(
    peer: Peer, instances: Sequence[Instance], on_answer: Callable[[Instance, Answer], None]
) -> None:
    """Send instances over one association; `on_answer` is called once for each, at once.

    Nothing is raised for what a peer or a network does: every instance gets its answer.
    """
    answered = 0
    try:
        with associated(peer, contexts_for(instances, peer.plain_syntaxes)) as association:
            for instance in instances:
                answer = _send(association, instance)
                answered += 1
                on_answer(instance, answer)
    except NothingAcceptedError:
        for instance in instances:
            on_answer(instance, _not_accepted(instance))
    except NoAssociationError as error:
        for instance in instances[answered:]:
            on_answer(instance, _later(str(error)))


def contexts_for(
    instances: Sequence[Instance], plain_syntaxes: Sequence[UID]
) -> list[PresentationContext]:
    """One context for each SOP class and transfer syntax that an instance can be sent in.

    Each syntax has a context of its own, so that the peer's choice of one does not take away the
    others.
    """
    wanted = dict.fromkeys(
        (instance.sop_class_uid, syntax)
        for instance in instances
        for syntax in _syntaxes(instance, plain_syntaxes)
    )
    return [build_context(sop_class, syntax) for sop_class, syntax in wanted]


def _syntaxes(instance: Instance, plain_syntaxes: Sequence[UID]) -> list[UID]:
    own = instance.transfer_syntax_uid
    if own not in _CONVERTIBLE:
        return [own]
    return sorted(plain_syntaxes, key=lambda syntax: syntax != own)  # as it is, if it may be


@contextmanager
def associated(
    peer: Peer,
    contexts: list[PresentationContext],
    *,
    handlers: Sequence[tuple[evt.EventType, Callable[[evt.Event], object]]] = (),
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
) -> Iterator[Association]:
    """Associate, and release or abort at the end.

    Raises
    ------
    NothingAcceptedError
        The peer accepts none of the contexts.
    NoAssociationError
        Nobody answers, or the peer rejects or aborts.
    """
    entity = AE(peer.calling_ae_title)
    entity.acse_timeout = peer.timeout_s
    entity.dimse_timeout = peer.timeout_s
    entity.network_timeout = peer.timeout_s
    entity.connection_timeout = peer.timeout_s
    association = entity.associate(
        peer.host,
        peer.port,
        contexts=contexts,
        ae_title=peer.ae_title,
        evt_handlers=[
            (evt.EVT_CONN_OPEN, _send_small_packets_at_once),
            (evt.EVT_DATA_SENT, _acknowledge_at_once),
            *handlers,
        ],
        ext_neg=list(roles),
        tls_args=None if peer.tls is None else (peer.tls, peer.host),
    )
    if not association.is_established:
        if association.rejected_contexts:  # pynetdicom aborts where the peer accepts nothing
            raise NothingAcceptedError("none of our objects is accepted")
        raise NoAssociationError(_why_not(association))
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def is_accepted(association: Association, instance: Instance) -> bool:
    """Whether the peer takes objects of this class in a transfer syntax that we can write."""
    own = instance.transfer_syntax_uid
    compatible = _CONVERTIBLE if own in _CONVERTIBLE else (own,)
    return any(
        context.abstract_syntax == instance.sop_class_uid
        and context.transfer_syntax[0] in compatible
        for context in association.accepted_contexts
    )


def meaning(status: int) -> Answer:
    """Classify a C-STORE status (PS3.4 section B.2.3, PS3.7 annex C)."""
    text = f"status 0x{status:04X}"
    if status == 0x0111:  # duplicate SOP instance: it is there, and ours are made to be identical
        return Answer(kind=AnswerKind.STORED, status=status, text=f"{text}: was there already")
    if status == 0x0000:
        return Answer(kind=AnswerKind.STORED, status=status, text="")
    if status in {0x0001, 0x0107, 0x0116} or status >> 12 == 0xB:
        return Answer(kind=AnswerKind.STORED, status=status, text=f"{text}: stored with a warning")
    # 0x0110: processing failure, 0x0213: resource limitation, 0xFE00: cancelled by the peer
    if status >> 8 == 0xA7 or status in {0x0110, 0x0213, 0xFE00}:
        return Answer(kind=AnswerKind.LATER, status=status, text=f"{text}: cannot take it now")
    return Answer(kind=AnswerKind.REFUSED, status=status, text=f"{text}: refused")


def _send(association: Association, instance: Instance) -> Answer:
    if not association.is_established:
        raise NoAssociationError("the peer closed the association")
    if not is_accepted(association, instance):
        return _not_accepted(instance)
    try:
        reply = association.send_c_store(instance.path)
    except (ValueError, AttributeError) as error:
        log.warning("an instance cannot be encoded: %s", type(error).__name__)
        return Answer(kind=AnswerKind.REFUSED, status=None, text="it cannot be encoded")
    except (OSError, RuntimeError):
        return _later("lost connection, or the file cannot be read now")
    if "Status" not in reply:
        return _later(NO_ANSWER)
    return meaning(reply.Status)


def _not_accepted(instance: Instance) -> Answer:
    text = f"no presentation context for {instance.sop_class_uid.name}"
    return Answer(kind=AnswerKind.REFUSED, status=None, text=text)


def _later(text: str) -> Answer:
    return Answer(kind=AnswerKind.LATER, status=None, text=text)


def _send_small_packets_at_once(event: evt.Event) -> None:
    """Set TCP_NODELAY: with Nagle's algorithm each C-STORE waits for a delayed acknowledgement."""
    connection = event.assoc.dul.socket
    if connection is not None and connection.socket is not None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def _acknowledge_at_once(event: evt.Event) -> None:
    """Set TCP_QUICKACK for the answer, which the kernel forgets after each exchange.

    A peer that leaves Nagle's algorithm on writes its answer in two parts and holds the second
    back until the first is acknowledged, 40 ms later.
    """
    connection = event.assoc.dul.socket
    if connection is not None and connection.socket is not None:
        connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def _why_not(association: Association) -> str:
    if association.is_rejected:
        rejection = association.acceptor.primitive
        return (
            "association rejected"
            if rejection is None
            else f"association rejected, {rejection.result_str.lower()}: {rejection.reason_str}"
        )
    if association.is_aborted:
        return "association aborted, or no connection"
    return "no connection"
