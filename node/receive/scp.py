"""The listening side: one thread accepts, one thread serves each peer, and floods stay outside.

A session is *new* until its association is accepted, and again after its end. New ones are bounded
in time and in number: when there are too many, the oldest gives way, so that a flood of silent
peers never keeps a real one from its handshake. The TLS handshake belongs to the peer's own thread
for the same reason.
"""

import logging
import socket
import ssl
import threading
import time
from typing import Self

from node.audit import AuditTrail
from node.config import Receive
from node.errors import SpoolError
from node.receive import gate
from node.receive.commitment import CommitmentDesk
from node.receive.gate import Peer, Refusal
from node.receive.intake import Intake
from node.receive.session import Session

LOGGER = logging.getLogger(__name__)

_MOST_NEW = 64


class Scp:
    """A listening Storage and Verification SCP."""

    def __init__(
        self,
        settings: Receive,
        intake: Intake,
        desk: CommitmentDesk,
        audit: AuditTrail,
        *,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._settings = settings
        self._intake = intake
        self._desk = desk
        self._audit = audit
        self._tls = tls
        self._listener: socket.socket | None = None
        self._lock = threading.Lock()
        self._new: dict[Session, threading.Thread] = {}  # in the order of their coming
        self._established: dict[Session, threading.Thread] = {}
        self._stopping = False

    def start(self) -> Self:
        """Listen; return at once."""
        self._listener = socket.create_server(
            (self._settings.host, self._settings.port),
            family=socket.AF_INET6 if ":" in self._settings.host else socket.AF_INET,
            backlog=128,
        )
        threading.Thread(target=self._accept_all, args=(self._listener,), daemon=True).start()
        LOGGER.info(
            "listening on %s:%d as %s", self._settings.host, self.port, self._settings.ae_title
        )
        return self

    @property
    def port(self) -> int:
        """The port, also where the configuration leaves the choice to the system (0)."""
        if self._listener is None:
            raise RuntimeError("not listening")
        return int(self._listener.getsockname()[1])

    def stop(self, *, patience_s: float = 10.0) -> None:
        """Stop listening; what is being kept is still kept and answered, then associations end.

        May be repeated.
        """
        with self._lock:
            if self._stopping or self._listener is None:
                return
            self._stopping = True
            sessions = self._new | self._established
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for session in sessions:
            session.interrupt()
        deadline_s = time.monotonic() + patience_s
        for thread in sessions.values():
            thread.join(max(0.0, deadline_s - time.monotonic()))

    def _accept_all(self, listener: socket.socket) -> None:
        while True:
            try:
                stream, _ = listener.accept()
            except OSError as error:
                if self._stopping:
                    return
                # Out of file descriptors, most likely: those of others come back with time.
                LOGGER.error("cannot accept a connection: %s", error.strerror)  # noqa: TRY400  no more to say
                time.sleep(0.1)
                continue
            self._begin(stream)

    def _begin(self, stream: socket.socket) -> None:
        try:
            session = Session(
                stream,
                settings=self._settings,
                intake=self._intake,
                desk=self._desk,
                audit=self._audit,
                tls=self._tls,
                admit=self._admit,
                leave=self._leave,
            )
        except OSError:  # gone before we could look
            stream.close()
            return
        thread = threading.Thread(target=self._run, args=(session,), daemon=True)
        with self._lock:
            if self._stopping:
                stream.close()
                return
            if len(self._new) >= _MOST_NEW:
                oldest = next(iter(self._new))
                del self._new[oldest]
                oldest.interrupt()
            try:
                thread.start()  # before the lock goes: `stop` waits for every thread that it sees
            except RuntimeError:  # the system has no thread to give; others end, and we go on
                LOGGER.error("no thread for a new connection, which is closed")  # noqa: TRY400  no more to say
                stream.close()
                return
            self._new[session] = thread

    def _run(self, session: Session) -> None:
        try:
            session.run()
        except Exception:
            LOGGER.exception("a session failed")  # a defect of ours: the text names code, not data
        finally:
            with self._lock:
                self._new.pop(session, None)
                self._established.pop(session, None)

    def _leave(self, session: Session) -> None:
        """Free the place of an association that has ended, though its peer may still linger."""
        with self._lock:
            if session in self._established:
                self._new[session] = self._established.pop(session)

    def _admit(self, session: Session, peer: Peer) -> Refusal | None:
        """Decide about an association, and count it where it may begin."""
        refusal = gate.refusal(peer, self._settings)
        if refusal is not None:
            return refusal
        try:
            self._intake.check_room()
        except SpoolError:
            return gate.NO_ROOM
        with self._lock:
            of_this_address = sum(other.address == peer.address for other in self._established)
            if (
                len(self._established) >= self._settings.maximum_associations
                or of_this_address >= self._settings.maximum_associations_per_address
            ):
                return gate.TOO_MANY
            thread = self._new.pop(session, None)
            if thread is None:  # it had to make room for a newer one
                return gate.TOO_MANY
            self._established[session] = thread
        return None
