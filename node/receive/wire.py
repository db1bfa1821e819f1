"""PDUs off and onto a socket: never longer than agreed, never slower than agreed.

A peer that stalls, trickles or lies about a length costs one thread for a bounded time and a
bounded buffer; pynetdicom (3.0.4) reads without a timeout and believes the length.
"""

import socket
import ssl
import struct
import time
from typing import ClassVar, Self

from node.errors import NodeError

ASSOCIATE_RQ = 0x01
DATA_TF = 0x04
RELEASE_RQ = 0x05
RELEASE_RP = b"\x06\x00\x00\x00\x00\x04\x00\x00\x00\x00"
ABORT = 0x07

_HEADER = struct.Struct(">BxI")
_AHEAD = 2**18  # of what is there already, so much is taken at once
_TIMEOUT = struct.Struct("ll")  # struct timeval


class PeerError(NodeError):
    """The association cannot go on; says what to tell the peer, if anything."""

    abort_reason: ClassVar[int | None] = None  # PS3.8 table 9-26


class PeerGoneError(PeerError):
    """The connection is closed."""


class PeerSilentError(PeerError):
    """Nothing, or too little, came in time."""

    abort_reason = 0


class ProtocolError(PeerError):
    """What came is no PDU, or one that has no place here."""

    abort_reason = 6  # invalid PDU parameter value


class UnexpectedPduError(PeerError):
    """A PDU that has no place in this state."""

    abort_reason = 2


def abort_pdu(reason: int) -> bytes:
    """Return an A-ABORT of the service provider (PS3.8 section 9.3.8)."""
    return struct.pack(">BxIxxBB", ABORT, 4, 2, reason)


def pdu(kind: int, body: bytes | memoryview) -> bytes:
    """Return a PDU with its header."""
    return _HEADER.pack(kind, len(body)) + body


class Connection:
    """One TCP or TLS connection, used by one thread."""

    def __init__(self, stream: socket.socket, *, timeout_s: float) -> None:
        self._stream = stream
        # The kernel fills a whole PDU in one call, and its timeout covers that whole call.
        self._flags = 0 if isinstance(stream, ssl.SSLSocket) else socket.MSG_WAITALL
        self._timeout_s = timeout_s
        self._buffer = memoryview(bytearray(_AHEAD))
        self._start = self._end = 0
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.set_timeout(timeout_s)

    def set_timeout(self, timeout_s: float) -> Self:
        """Set how long to wait for a PDU to begin, and then again for it to end."""
        self._timeout_s = timeout_s
        if self._flags:
            timeval = _TIMEOUT.pack(int(timeout_s), int(timeout_s % 1 * 1_000_000))
            self._stream.settimeout(None)
            self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeval)
            self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)
        else:
            self._stream.settimeout(timeout_s)
        return self

    def read_pdu(self, *, longest: int) -> tuple[int, memoryview]:
        """Wait for the next PDU; return its type and its bytes after the six of the header.

        The bytes lie in a buffer that the next call uses again.

        Raises
        ------
        PeerGoneError, PeerSilentError, ProtocolError
        """
        if self._end - self._start < _HEADER.size:
            self._fill(_HEADER.size)
        kind, length = _HEADER.unpack_from(self._buffer, self._start)
        if not 1 <= kind <= ABORT:
            raise ProtocolError("garbage instead of a PDU")
        if length > longest:
            raise ProtocolError(f"a PDU of {length} bytes, longer than agreed")
        if self._end - self._start < _HEADER.size + length:
            self._fill(_HEADER.size + length)
        start = self._start + _HEADER.size
        self._start = start + length
        return kind, self._buffer[start : self._start]

    def _fill(self, count: int) -> None:
        """Wait until so many bytes are in the buffer, from its start."""
        if self._start + count > len(self._buffer):
            self._move_to_front(count)
        elif self._start == self._end:
            self._start = self._end = 0
        deadline_s = time.monotonic() + self._timeout_s
        while (missing := self._start + count - self._end) > 0:
            # A header comes with what is there already; for the rest the kernel waits, all of it.
            flags = self._flags if count > _HEADER.size else 0
            self._end += self._receive(max(missing, _AHEAD) if flags == 0 else missing, flags)
            # A peer that trickles restarts the timeout of each call, but not this one.
            if self._end - self._start < count and time.monotonic() > deadline_s:
                raise PeerSilentError("the peer is too slow")

    def _move_to_front(self, count: int) -> None:
        held = bytes(self._buffer[self._start : self._end])
        if count > len(self._buffer):
            self._buffer = memoryview(bytearray(count + _AHEAD))
        self._buffer[: len(held)] = held
        self._start, self._end = 0, len(held)

    def _receive(self, count: int, flags: int) -> int:
        room = self._buffer[self._end : self._end + count]
        try:
            received = self._stream.recv_into(room, len(room), flags)
        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError) as error:
            raise PeerSilentError("the peer is silent") from error
        except OSError as error:
            raise PeerGoneError("the connection broke") from error
        if received == 0:
            raise PeerGoneError("the peer closed the connection")
        return received

    def send(self, data: bytes) -> None:
        """Send everything.

        Raises
        ------
        PeerGoneError
            The connection is closed, or the peer does not read.
        """
        try:
            self._stream.sendall(data)
        except OSError as error:
            raise PeerGoneError("the peer does not read") from error
