"""One tree of errors: each class knows its DIMSE status and its exit code.

Texts never carry patient data: they name files by our own names and instances by position.
"""

import errno
from collections.abc import Iterator
from typing import ClassVar


class NodeError(Exception):
    """Something the node can name went wrong."""

    exit_code: ClassVar[int] = 1
    dimse_status: ClassVar[int] = 0xC000  # PS3.4 B.2.3: cannot understand


class UsageError(NodeError):
    """The command line or the configuration is wrong."""

    exit_code = 2


class NothingToAnalyseError(NodeError):
    """No first-pass perfusion series was found; the message says what was looked at."""

    exit_code = 3


class SpoolError(NodeError):
    """The spool cannot take or give a file."""

    dimse_status = 0xA700  # PS3.4 B.2.3: out of resources


class NoRoomError(NodeError):
    """The disk is full: a later try may find room."""

    exit_code = 5


class OutOfMemoryError(NodeError):
    """Memory was refused: a later try may get it."""

    exit_code = 6


_NO_ROOM_IN_SQLITE = (13, 4874)  # SQLITE_FULL; SQLITE_IOERR_SHMSIZE, of its shared memory
_NO_ROOM_IN_POSTGRESQL = "53100"  # disk_full


def is_for_want_of_room(error: BaseException) -> bool:
    """Whether an error comes from a full disk, ours or a database's, through whatever hands."""
    return any(
        (isinstance(one, OSError) and one.errno in (errno.ENOSPC, errno.EDQUOT))
        or getattr(one, "sqlite_errorcode", None) in _NO_ROOM_IN_SQLITE
        or getattr(one, "sqlstate", None) == _NO_ROOM_IN_POSTGRESQL
        for one in _with_causes(error)
    )


_LOCKED_IN_SQLITE = (5, 6)  # SQLITE_BUSY, SQLITE_LOCKED


def is_for_a_lock(error: BaseException) -> bool:
    """Whether an error comes from a lock on a database file that another program did not give up.

    Extended codes of SQLite carry the plain one in their lowest byte.
    """
    return any(
        getattr(one, "sqlite_errorcode", 0) & 0xFF in _LOCKED_IN_SQLITE
        for one in _with_causes(error)
    )


_REFUSALS = ("can't allocate memory", "out of memory", "_STATUS_ALLOC_FAILED")
"""Of PyTorch, on the processor and on a GPU (its class for that is not for who does not import
it), and of cuBLAS and cuDNN through it."""


def is_for_want_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was refused, by whatever library and through what hands."""
    return any(
        isinstance(one, MemoryError)
        or (isinstance(one, OSError) and one.errno == errno.ENOMEM)
        or (isinstance(one, RuntimeError) and any(words in str(one) for words in _REFUSALS))
        for one in _with_causes(error)
    )


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


class IndexUnusableError(NodeError):
    """The index cannot be opened; the message says how to repair it."""


class EngineError(NodeError):
    """The durable engine or its database cannot work; the message says how to repair it."""


class UnreadableInstanceError(NodeError):
    """A file or data set is not a DICOM instance that can be read."""


class EncodingError(NodeError):
    """A result object cannot be encoded."""


class DeliveryError(NodeError):
    """A destination did not take a result."""


class TransientDeliveryError(DeliveryError):
    """The destination may take it later: no connection, out of resources, timeout."""


class WeightsError(NodeError):
    """Weights of a network are missing, damaged or of another network."""
