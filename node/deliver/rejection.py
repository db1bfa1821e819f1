"""Rejection notes, each in the form that fits its destination.

The analysis made one note about everything that is replaced. A PACS may refuse a note as a whole
when it lacks one of the objects, so each destination gets one about what it has.
"""

import hashlib
import logging
from collections.abc import Collection
from pathlib import Path

import sqlalchemy as sa
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from node.disk import flush, save_whole
from node.index import superseding
from node.index.ledger import Delivery

log = logging.getLogger(__name__)


def release_notes(
    index: sa.Engine, results: Path, *, confirmed_at: Collection[str], now_s: float
) -> None:
    """Let those notes go whose destination has what replaces the old results.

    Parameters
    ----------
    results
        The folder of results.
    confirmed_at
        Destinations that are asked afterwards what they have.
    """
    for note in superseding.held_notes(index, confirmed_at=confirmed_at):
        there = superseding.stored_at(index, note.study_uid, note.destination)
        _release(index, results, note, there, now_s)


def _release(
    index: sa.Engine, results: Path, note: Delivery, there: Collection[str], now_s: float
) -> None:
    try:
        whole = dcmread(results / note.file)
    except (OSError, InvalidDicomError):
        superseding.release_note(index, note, note.file, now_s)  # the attempt will say it
        return
    rejected = _rejected_by(whole)
    fitting = rejected & set(there)
    log.info("%d replaced results at %s are rejected", len(fitting), note.destination)
    if not fitting:
        superseding.drop_note(index, note, now_s)
        return
    file = note.file
    if fitting != rejected:
        fit(whole, fitting)
        path = Path(note.file)
        file = str(path.with_name(f"{path.stem}-{note.destination}.dcm"))
        save_whole(whole, results / file)
        flush((results / file).parent)
    superseding.release_note(index, note, file, now_s)


def fit(note: Dataset, there: Collection[str]) -> None:
    """Let a note reject only what is there; it becomes another object."""
    note.ContentSequence = [
        item
        for item in note.ContentSequence
        if "ReferencedSOPSequence" not in item
        or item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID in there
    ]
    for study in note.CurrentRequestedProcedureEvidenceSequence:
        for series in study.ReferencedSeriesSequence:
            series.ReferencedSOPSequence = [
                one for one in series.ReferencedSOPSequence if one.ReferencedSOPInstanceUID in there
            ]
        study.ReferencedSeriesSequence = [
            series for series in study.ReferencedSeriesSequence if series.ReferencedSOPSequence
        ]
    name = "/".join([note.SOPInstanceUID, *sorted(there)])
    note.SOPInstanceUID = UID(f"2.25.{int(hashlib.sha256(name.encode()).hexdigest()[:32], 16)}")
    note.file_meta.MediaStorageSOPInstanceUID = note.SOPInstanceUID


def _rejected_by(note: Dataset) -> set[str]:
    return {
        str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for item in note.ContentSequence
        if "ReferencedSOPSequence" in item
    }
