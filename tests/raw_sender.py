"""A sender without a library: fast, and able to say exactly what an honest one would not."""

import re
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import Self

import yaml

ROOT = Path(__file__).parents[1]

MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
SUCCESS = 0x0000

_PDU = 16000


class LostError(Exception):
    """The receiver is gone, refuses, or aborts."""


def mr_data_set(study: str, series: str, number: int, size_bytes: int = 2000) -> tuple[str, bytes]:
    """Make one MR instance in Explicit VR Little Endian; return its UID and its data set."""
    uid = f"{series}.{number}"
    elements = (
        (0x0008, 0x0016, b"UI", _even(MR_IMAGE, b"\0")),
        (0x0008, 0x0018, b"UI", _even(uid, b"\0")),
        (0x0008, 0x0060, b"CS", b"MR"),
        (0x0010, 0x0010, b"PN", b"Markedname^Secret "),
        (0x0010, 0x0020, b"LO", b"MARKEDID"),
        (0x0020, 0x000D, b"UI", _even(study, b"\0")),
        (0x0020, 0x000E, b"UI", _even(series, b"\0")),
        (0x0020, 0x0013, b"IS", _even(str(number), b" ")),
    )
    head = b"".join(struct.pack("<HH2sH", g, e, vr, len(v)) + v for g, e, vr, v in elements)
    pixels = (number.to_bytes(4, "little") * (size_bytes // 4 + 1))[:size_bytes]
    return uid, head + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, len(pixels)) + pixels


def _even(text: str, padding: bytes) -> bytes:
    value = text.encode()
    return value + padding * (len(value) % 2)


def association_request(calling: str = "SCANNER", called: str = "PERFUSION") -> bytes:
    """Encode an A-ASSOCIATE-RQ for MR images in Explicit VR Little Endian, as context 1."""
    application = _item(0x10, b"1.2.840.10008.3.1.1.1")
    syntaxes = _item(0x30, MR_IMAGE.encode()) + _item(0x40, EXPLICIT_LITTLE.encode())
    context = _item(0x20, b"\1\0\0\0" + syntaxes)
    user = _item(0x50, _item(0x51, struct.pack(">I", 16384)) + _item(0x52, b"1.2.826.0.1"))
    titles = called.encode().ljust(16) + calling.encode().ljust(16)
    body = b"\0\1\0\0" + titles + bytes(32) + application + context + user
    return struct.pack(">BxI", 1, len(body)) + body


def _item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(content)) + content


class RawSender:
    """One association."""

    def __init__(
        self,
        port: int,
        *,
        calling: str = "SCANNER",
        called: str = "PERFUSION",
        timeout_s: float = 30.0,
    ) -> None:
        try:
            self.stream = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
        except OSError as error:
            raise LostError from error
        self._message = 0
        try:
            self.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.stream.sendall(association_request(calling, called))
            accepted = self.read_pdu()[0] == 2
        except (OSError, LostError):
            accepted = False
        if not accepted:
            self.stream.close()
            raise LostError("not accepted")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()

    def store(self, uid: str, data: bytes) -> int:
        """Send one MR instance; return the status of the answer."""
        self._message = self._message % 65535 + 1
        fields = (
            (0x0002, _even(MR_IMAGE, b"\0")),
            (0x0100, b"\1\0"),
            (0x0110, struct.pack("<H", self._message)),
            (0x0700, b"\0\0"),
            (0x0800, b"\1\0"),
            (0x1000, _even(uid, b"\0")),
        )
        command = b"".join(struct.pack("<HHI", 0, e, len(v)) + v for e, v in fields)
        command = struct.pack("<HHII", 0, 0, 4, len(command)) + command
        pieces = [data[start : start + _PDU] for start in range(0, len(data), _PDU)] or [b""]
        message = [_data_pdu(command, 3)]
        message += [_data_pdu(piece, 0) for piece in pieces[:-1]]
        message.append(_data_pdu(pieces[-1], 2))
        try:
            self.stream.sendall(b"".join(message))
            kind, body = self.read_pdu()
        except OSError as error:
            raise LostError from error
        if kind != 4:
            raise LostError("no answer")
        return _status(body[6:])

    def release(self) -> None:
        """End in order."""
        self.stream.sendall(b"\5\0\0\0\0\4\0\0\0\0")
        self.read_pdu()
        self.stream.close()

    def read_pdu(self) -> tuple[int, bytes]:
        """Read one PDU; raises `LostError` where the peer has closed."""
        header = self._read(6)
        return header[0], self._read(int.from_bytes(header[2:], "big"))

    def _read(self, count: int) -> bytes:
        content = b""
        while len(content) < count:
            part = self.stream.recv(count - len(content))
            if not part:
                raise LostError("closed")
            content += part
        return content


def _status(command: bytes) -> int:
    position = 0
    while position < len(command):
        _, element, length = struct.unpack_from("<HHI", command, position)
        position += 8
        if element == 0x0900:
            return int.from_bytes(command[position : position + length], "little")
        position += length
    raise LostError("an answer without a status")


def _data_pdu(data: bytes, control: int) -> bytes:
    return struct.pack(">BxIIBB", 4, len(data) + 6, len(data) + 2, 1, control) + data


class ReceiverProcess:
    """`perfusion-node receive` as a process that can be killed and started again."""

    def __init__(self, folder: Path, *, database_url: str | None = None, **receive: object) -> None:
        self.storage = folder / "state"
        self.environment: dict[str, str] | None = None
        self.prefix: list[str] = []
        self.log: list[str] = []
        self._config = folder / "config.yaml"
        self._config.write_text(
            yaml.safe_dump(
                {
                    "receive": {"host": "127.0.0.1", "port": 0, "minimum_free_mb": 0, **receive},
                    "storage": {
                        "directory": str(self.storage),
                        "database_url": database_url,
                    },
                }
            )
        )
        self.process: subprocess.Popen[str] | None = None
        self.port = 0

    def start(self) -> Self:
        """Start, and wait until it listens."""
        command = [sys.executable, "-m", "node", "receive", "--config", str(self._config)]
        self.process = subprocess.Popen(
            [*self.prefix, *command],
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=self.environment,
        )
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            found = re.search(r"listening on 127\.0\.0\.1:(\d+)", line)
            if found:
                self.port = int(found[1])
                # What it says later must not fill the pipe and stop it.
                threading.Thread(target=self._drain, args=(self.process,), daemon=True).start()
                return self
        self.stop()
        self.process.stderr.close()
        raise LostError("".join(self.log))

    def _drain(self, process: "subprocess.Popen[str]") -> None:
        assert process.stderr is not None
        with process.stderr:
            self.log.extend(process.stderr)

    def kill(self) -> None:
        """End it as a power switch would: no signal handler runs."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """End it in order, where it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=30)
