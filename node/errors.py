"""One tree of errors: each class knows its DIMSE status and its exit code.

Texts never carry patient data: they name files by our own names and instances by position.
"""

import errno
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


def is_for_want_of_room(error: BaseException | None) -> bool:
    """Whether an error comes from a full disk, through whatever hands it went."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            return True
        error = error.__cause__ or error.__context__
    return False


def is_for_want_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory was refused, by whatever library."""
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # PyTorch has no class for it on the processor, only these words.
    refused_by_torch = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    return isinstance(error, MemoryError) or refused_by_torch


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
