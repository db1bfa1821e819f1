"""Whether the headers prove that rest and stress are here, so that nobody need wait for silence."""

import logging
from pathlib import Path

import sqlalchemy as sa

from node.completion import has_all
from node.config import Analysis
from node.dicom_read.announced import announced_state
from node.index.holdings import StudyArrivals, snapshot
from pipeline.study import State

log = logging.getLogger(__name__)


class Announcements:
    """Reads one header of each series that has all images which its headers announce."""

    def __init__(self, index: sa.Engine, spool: Path, config: Analysis) -> None:
        self._index = index
        self._spool = spool
        self._config = config
        self._known: dict[str, State | None] = {}  # by series, while their studies are arriving

    def prove_both(self, study: StudyArrivals) -> bool:
        """Whether a whole first pass at rest and one under stress are here."""
        whole = {series.series_uid for series in study.series if has_all(series)}
        if not whole <= self._known.keys():
            rows = snapshot(self._index, study.study_uid, study.revision)
            files = {row.series_uid: row.file for row in rows}
            for series_uid in whole - self._known.keys():
                path = self._spool / files[series_uid]
                self._known[series_uid] = _announced(path, self._config)
        return {State.REST, State.STRESS} <= {self._known[series_uid] for series_uid in whole}

    def forget_others(self, series_uids: set[str]) -> None:
        """Forget the series of studies that are not arriving any more."""
        self._known = {uid: state for uid, state in self._known.items() if uid in series_uids}


def _announced(path: Path, config: Analysis) -> State | None:
    try:
        return announced_state(path, config)
    except Exception as error:  # noqa: BLE001  a header may hold anything; silence decides then
        # The text of the error may repeat values of the header.
        log.warning("a header announces nothing: it cannot be read (%s)", type(error).__name__)
        return None
