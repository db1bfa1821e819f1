"""Where the node's own words go: one line each on standard error, never patient data."""

import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from types import TracebackType

from node.errors import NodeError

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
TALKATIVE = ("pydicom", "pynetdicom", "highdicom", "py.warnings")
"""Libraries whose messages may repeat values of tags."""
_OF_DATABASES = ("sqlalchemy", "sqlite3", "psycopg")
"""What is in our databases names no patient, so their errors may speak."""


def set_up_logging(level: str) -> None:
    """Log to standard error from `level` on; what may quote tags stays silent.

    Errors that nobody foresaw are told by their kind and place: their text may quote a tag.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(LINE))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.captureWarnings(capture=True)
    sys.excepthook = _say_unforeseen
    threading.excepthook = _say_unforeseen_of_thread


def kind_and_place(error: BaseException) -> str:
    """Describe an error and those behind it without what they say, unless that is our own."""
    return "\n".join(reversed([_one(each) for each in _chain(error)]))


class _Formatter(logging.Formatter):
    def formatException(  # noqa: N802  logging's name
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        return "" if ei[1] is None else kind_and_place(ei[1])


def _say_unforeseen(
    _kind: type[BaseException], error: BaseException, _trace: TracebackType | None
) -> None:
    sys.stderr.write(f"{kind_and_place(error)}\n")


def _say_unforeseen_of_thread(died: threading.ExceptHookArgs) -> None:
    if died.exc_value is not None:
        sys.stderr.write(f"{kind_and_place(died.exc_value)}\n")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _one(error: BaseException) -> str:
    places = "".join(traceback.format_tb(error.__traceback__)).rstrip()
    kind, said = type(error), ""
    if isinstance(error, OSError):
        said = error.strerror or ""
    elif isinstance(error, NodeError) or kind.__module__.startswith(_OF_DATABASES):
        said = str(error)
    return f"{places}\n{kind.__name__}{f': {said}' if said else ''}"
