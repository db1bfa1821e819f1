"""One peer from its TCP connection to its end: TLS, negotiation, association, what to say after."""

import hashlib
import logging
import select
import socket
import ssl
import time
from collections.abc import Callable

from node.audit import AuditTrail, Party
from node.config import Receive
from node.receive import negotiation, wire
from node.receive.association import Association, Tally
from node.receive.commitment import CommitmentDesk
from node.receive.gate import Peer, Refusal
from node.receive.intake import Intake

LOGGER = logging.getLogger(__name__)

_LAST_WORDS_S = 2.0
"""How long a peer may take to close after our last word; closing first could destroy it."""


class Session:
    """Serves one connection, in a thread of its own."""

    def __init__(
        self,
        stream: socket.socket,
        *,
        settings: Receive,
        intake: Intake,
        desk: CommitmentDesk,
        audit: AuditTrail,
        tls: ssl.SSLContext | None,
        admit: Callable[["Session", Peer], Refusal | None],
        leave: Callable[["Session"], None],
    ) -> None:
        self._stream = stream
        self._settings = settings
        self._intake = intake
        self._desk = desk
        self._audit = audit
        self._tls = tls
        self._admit = admit
        self._leave = leave
        self._interrupted = False
        self.address = str(stream.getpeername()[0])

    def interrupt(self) -> None:
        """Make the thread see the end of the stream, once it has answered what it has taken."""
        self._interrupted = True
        try:
            # Past the TLS layer, whose own shutdown is not for another thread.
            socket.socket.shutdown(self._stream, socket.SHUT_RD)
        except OSError:
            return

    def run(self) -> None:
        """Serve the peer to its end; never raises for what a peer does."""
        try:
            self._secure()
            connection = wire.Connection(
                self._stream, timeout_s=self._settings.negotiation_timeout_s
            )
            self._serve(connection)
        except wire.PeerError as error:
            LOGGER.info("%s: ended before an association: %s", self.address, error)
        except OSError as error:
            LOGGER.info("%s: ended before an association: %s", self.address, error.strerror)
        finally:
            self._stream.close()

    def _secure(self) -> None:
        """Shake hands, all of it before the deadline, however slowly the peer trickles."""
        if self._tls is None:
            return
        deadline_s = time.monotonic() + self._settings.negotiation_timeout_s
        stream = self._tls.wrap_socket(
            self._stream, server_side=True, do_handshake_on_connect=False
        )
        self._stream = stream
        stream.settimeout(0)
        while True:
            try:
                stream.do_handshake()
            except ssl.SSLWantReadError:
                select.select([stream], [], [], max(0.0, deadline_s - time.monotonic()))
            except ssl.SSLWantWriteError:
                select.select([], [stream], [], max(0.0, deadline_s - time.monotonic()))
            except ssl.SSLError as error:
                reason = f"no TLS ({_tls_reason(error)})"
                self._audit.security_alert(Party("", self.address), reason)
                raise wire.PeerGoneError(reason) from error
            except OSError as error:
                raise wire.PeerGoneError("no TLS handshake (the connection broke)") from error
            else:
                return
            if time.monotonic() > deadline_s:
                raise wire.PeerSilentError("no TLS handshake in time")

    def _serve(self, connection: wire.Connection) -> None:
        kind, body = connection.read_pdu(longest=negotiation.LONGEST_REQUEST)
        if kind != wire.ASSOCIATE_RQ:
            raise wire.UnexpectedPduError("the first PDU is no association request")
        request = negotiation.read_request(wire.pdu(kind, body))
        peer = Peer(
            calling_ae=request.calling_ae,
            called_ae=request.called_ae,
            address=self.address,
            certificate=self._fingerprint(),
        )
        refusal = request.refusal or self._admit(self, peer)
        if refusal is not None:
            LOGGER.warning("%s %s: rejected: %s", self.address, peer.calling_ae, refusal.reason)
            if refusal.is_security_matter:
                self._audit.security_alert(Party(peer.calling_ae, peer.address), refusal.reason)
            connection.send(negotiation.reject(refusal))
            self._hear_out()
            return
        answer, agreement = negotiation.accept(request)
        connection.send(answer)
        connection.set_timeout(self._settings.network_timeout_s)
        association = Association(
            connection, agreement, calling_ae=peer.calling_ae, intake=self._intake, desk=self._desk
        )
        self._take_messages(connection, association, peer)

    def _take_messages(
        self, connection: wire.Connection, association: Association, peer: Peer
    ) -> None:
        began_s = time.monotonic()
        ending = "aborted by the peer"
        try:
            if association.serve():
                ending = "released"
                self._leave(self)  # before the answer, so that the peer may come again at once
                connection.send(wire.RELEASE_RP)
        except wire.PeerError as error:
            ending = "stopped here" if self._interrupted else str(error)
            self._abort(connection, error)
        finally:
            self._leave(self)
            _log(peer, association.tally, ending, time.monotonic() - began_s)
            self._record_received(peer, association.tally)
        self._hear_out()

    def _record_received(self, peer: Peer, tally: Tally) -> None:
        for study_uid, counts in tally.studies.items():
            self._audit.instances_received(
                Party(peer.calling_ae, peer.address), study_uid, counts, refused=tally.refused
            )

    def _abort(self, connection: wire.Connection, error: wire.PeerError) -> None:
        reason = 0 if self._interrupted else error.abort_reason
        if reason is None:
            return
        try:
            connection.send(wire.abort_pdu(reason))
        except wire.PeerGoneError:
            return

    def _hear_out(self) -> None:
        """Wait for the peer to close, as it must (PS3.8, state 13), or for its time to be over."""
        deadline_s = time.monotonic() + _LAST_WORDS_S
        try:
            self._stream.settimeout(_LAST_WORDS_S)
            while self._stream.recv(2**16) and time.monotonic() < deadline_s:
                pass
        except OSError:
            return

    def _fingerprint(self) -> str | None:
        if not isinstance(self._stream, ssl.SSLSocket):
            return None
        certificate = self._stream.getpeercert(binary_form=True)
        return hashlib.sha256(certificate).hexdigest() if certificate else None


def _tls_reason(error: OSError) -> str:
    return str(getattr(error, "reason", None) or error.strerror or type(error).__name__)


def _log(peer: Peer, tally: Tally, ending: str, duration_s: float) -> None:
    level = logging.INFO if ending == "released" and not tally.refused else logging.WARNING
    LOGGER.log(
        level,
        "%s %s: %d stored, %d refused in %.1f s; %s",
        peer.address,
        peer.calling_ae,
        tally.stored,
        tally.refused,
        duration_s,
        ending,
    )
