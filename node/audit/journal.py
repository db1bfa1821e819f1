"""Keeps audit messages on the disk, and ships them to syslog over TLS (RFC 5424, RFC 5425)."""

import errno
import logging
import os
import socket
import ssl
import threading
import time
import xml.etree.ElementTree as ET
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from node.config import Audit, Tls
from node.disk import flush, make_folder
from node.tls import client_context

LOGGER = logging.getLogger(__name__)

_FACILITY_AUDIT_NOTICE = 13 * 8 + 5  # RFC 5424 section 6.2.1: log audit, notice
_MOST_UNWRITTEN = 10_000
_TIMEOUT_S = 20.0


class _Message(NamedTuple):
    """One message that is to be written."""

    name: str
    text: str
    syslog: bytes


class Journal:
    """Messages in a local file, and those that wait for the repository; safe in threads.

    Several processes may write at once.
    """

    def __init__(self, settings: Audit, folder: Path) -> None:
        self._settings = settings
        self._folder = folder
        self._outgoing = folder / "outgoing"
        make_folder(self._outgoing)
        self._lock = threading.Lock()
        self._unwritten: deque[_Message] = deque(maxlen=_MOST_UNWRITTEN)
        self._after_torn = ""

    def write(self, message: ET.Element) -> None:
        """Write a message; what the disk refuses waits in memory, as do those after it."""
        text = ET.tostring(message, encoding="unicode")
        name = f"{time.time_ns():020d}-{os.getpid()}"
        with self._lock:
            self._unwritten.append(_Message(name, text, _syslog(text, self._settings.site)))
        self.write_waiting()

    def write_waiting(self) -> None:
        """Write all messages in their order; what the disk refuses waits for the next try."""
        with self._lock:
            try:
                while self._unwritten:
                    self._keep(self._unwritten[0])
                    self._unwritten.popleft()
            except OSError as error:
                # Images and results count for more than what is written about them.
                LOGGER.error(  # noqa: TRY400  the origin says no more
                    "%d audit messages cannot be written yet: %s",
                    len(self._unwritten),
                    error.strerror,
                )

    def _keep(self, message: _Message) -> None:
        """Bring a message to the disk, for the repository and for the log; may be repeated."""
        if self._settings.repository is not None:
            part = self._outgoing / f"{message.name}.part"
            part.write_bytes(message.syslog)
            flush(part)
            part.rename(part.with_suffix(".msg"))
            flush(self._outgoing)
        log = self._folder / "audit.log"
        is_new = not log.exists()
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            content = f"{self._after_torn}{message.text}\n".encode()
            # One write: lines of several processes do not mix.
            if os.write(descriptor, content) < len(content):
                self._after_torn = "\n"
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self._after_torn = ""
            os.fdatasync(descriptor)
            if is_new:
                flush(self._folder)
        finally:
            os.close(descriptor)

    def ship(self) -> int:
        """Send what waits for the repository, the oldest first; return how much was sent.

        Raises
        ------
        OSError
            The repository is away; what was not sent stays.
        """
        waiting = sorted(self._outgoing.glob("*.msg"))
        host, tls = self._settings.repository, self._settings.tls
        if not waiting or host is None or tls is None:
            return 0
        with _connect(host, self._settings.port, tls) as stream:
            for file in waiting:
                content = file.read_bytes()
                stream.sendall(b"%d " % len(content) + content)  # RFC 5425 section 4.3
                file.unlink()
        return len(waiting)


def _connect(host: str, port: int, tls: Tls) -> ssl.SSLSocket:
    plain = socket.create_connection((host, port), timeout=_TIMEOUT_S)
    try:
        return client_context(tls).wrap_socket(plain, server_hostname=host)
    except OSError:
        plain.close()
        raise


def _syslog(text: str, site: str) -> bytes:
    """Put a message into the frame of RFC 5424; PS3.15 A.6 asks for the message id."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    host = "".join(letter for letter in socket.gethostname() if "!" <= letter <= "~") or "-"
    process = f"{site.replace(' ', '_')[:48]} {os.getpid()}"
    head = f"<{_FACILITY_AUDIT_NOTICE}>1 {now} {host} {process} DICOM+RFC3881 - "
    return head.encode("ascii", "replace") + b"\xef\xbb\xbf" + text.encode()
