"""What a study lacks, asked of an archive: the other first pass, the series for its input function.

Only series that the archive has and the node has not, or not whole, and that no word in their
description calls something else, are brought.
"""

import logging
from collections.abc import Iterator

import sqlalchemy as sa
from pydicom.dataset import Dataset

from node.config import Archive, Config
from node.dicom_read.header import Header
from node.dicom_read.recognise import refusal_by_words
from node.errors import TransientDeliveryError
from node.index.holdings import study_arrivals
from node.retrieve import fetch_series, find_series

log = logging.getLogger(__name__)

_OWN_SUFFIX = "RESEARCH"
"""Ends the description of each series that a node like this one made."""


class Partners:
    """Brings what is missing, from the archive that the configuration names."""

    def __init__(self, index: sa.Engine, config: Config, archive: Archive) -> None:
        self._index = index
        self._config = config
        self._archive = archive

    def fetch(self, study_uid: str) -> int:
        """Bring the series that are missing here; returns how many images were taken.

        An archive that is away, or fails, has nothing: the study is analysed as it is.
        """
        taken = 0
        try:
            for series_uid in list(self._lacking(study_uid)):
                came, failed = fetch_series(
                    self._archive,
                    self._config,
                    study_uid,
                    series_uid,
                    way=self._config.completion.fetch_by,
                )
                taken += came
                if failed:
                    log.warning("%d images of a missing series did not come", failed)
        except TransientDeliveryError as error:
            log.warning("what study %s lacks cannot be fetched: %s", study_uid, error)
        log.info("study %s: %d images fetched from %s", study_uid, taken, self._archive.name)
        return taken

    def _lacking(self, study_uid: str) -> Iterator[str]:
        arrived = study_arrivals(self._index, study_uid)
        here = {one.series_uid: one.received for one in arrived.series} if arrived else {}
        for match in find_series(self._archive, self._config, study_uid):
            uid = str(match.get("SeriesInstanceUID", ""))
            number = match.get("NumberOfSeriesRelatedInstances")
            whole = here.get(uid, 0) >= int(number) if number else uid in here
            if uid and not whole and _may_be_perfusion(match):
                yield uid


def _may_be_perfusion(match: Dataset) -> bool:
    header = Header(match)
    is_own = header.text("SeriesDescription").endswith(_OWN_SUFFIX)
    return header.text("Modality") == "MR" and not is_own and refusal_by_words(header) is None
