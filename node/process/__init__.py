"""One study from files to result objects: read, analyse, write."""

from node.process.study import EXIT_CODES, Outcome, ResultObject, Status, process_study
from node.process.summary import summary, text

__all__ = [
    "EXIT_CODES",
    "Outcome",
    "ResultObject",
    "Status",
    "process_study",
    "summary",
    "text",
]
