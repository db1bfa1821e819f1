"""How instances enter the index, and the revisions of their studies that the worker freezes.

An instance belongs to the revision that was open when it came. Freezing a revision ends it: its
snapshot never changes again, and a late image opens the next one.
"""

import enum
from collections.abc import Sequence
from typing import NamedTuple

import sqlalchemy as sa

from node.index.tables import CONFLICT, INSTANCE, STUDY, insert_into

# Built once: building a statement costs more than running it.
_INSERT = sa.insert(INSTANCE)
LOCK_STUDY = (
    sa.select(STUDY.c.revision, STUDY.c.frozen)
    .where(STUDY.c.study_uid == sa.bindparam("uid"))
    .with_for_update()  # nothing on SQLite, where the transaction holds the only lock there is
)


class Outcome(enum.Enum):
    """What recording an instance found."""

    NEW = "new"
    DUPLICATE = "duplicate"
    """The same bytes are there already; the new file is not needed."""
    CONFLICT = "conflict"
    """Other bytes are there under this UID; the new file is kept aside and listed."""
    KNOWN_CONFLICT = "known conflict"
    """The same, and these bytes are kept aside already; the new file is not needed."""

    @property
    def is_conflict(self) -> bool:
        """Whether other bytes are there under this UID."""
        return self in (Outcome.CONFLICT, Outcome.KNOWN_CONFLICT)

    @property
    def needs_file(self) -> bool:
        """Whether the new file is the only one with its bytes."""
        return self in (Outcome.NEW, Outcome.CONFLICT)


class Arrival(NamedTuple):
    """One instance that is safe in the spool and shall be recorded."""

    sop_instance_uid: str
    study_uid: str
    series_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    file: str
    """Relative to the root of the spool."""
    size_bytes: int
    sha256: str
    """Of the data set as received, without the file header that we put before it."""
    modality: str
    expected_images: int | None
    """How many images its header says its series has."""
    calling_ae: str
    received_s: float
    """Seconds since the epoch."""


def record(engine: sa.Engine, arrivals: Sequence[Arrival]) -> list[Outcome]:
    """Record instances in one transaction, as durably as the engine was opened."""
    try:
        # Nearly always all are new, and this is an instance's whole way through the database.
        with engine.begin() as connection:
            _insert(connection, arrivals)
    except sa.exc.IntegrityError:
        with engine.begin() as connection:
            return [_record_one(connection, arrival) for arrival in arrivals]
    return [Outcome.NEW] * len(arrivals)


def is_brought_by_a_value(error: Exception) -> bool:
    """Whether recording failed for what an arrival holds: without it the others are recorded.

    False: the database takes nothing now, whatever it is (no room, a lock, damage, no server).
    """
    if isinstance(error, sa.exc.DBAPIError):
        return isinstance(error, sa.exc.DataError | sa.exc.IntegrityError)
    # Before they reach a database, drivers refuse what they cannot bind by Python's own errors.
    return isinstance(error, sa.exc.StatementError | ValueError | TypeError | OverflowError)


def _insert(connection: sa.Connection, arrivals: Sequence[Arrival]) -> None:
    revisions = {uid: open_revision(connection, uid, arrivals) for uid in _studies(arrivals)}
    rows = [arrival._asdict() | {"revision": revisions[arrival.study_uid]} for arrival in arrivals]
    connection.execute(_INSERT, rows)


def _studies(arrivals: Sequence[Arrival]) -> list[str]:
    """In a fixed order, so that two receivers on one database cannot wait for each other."""
    return sorted({arrival.study_uid for arrival in arrivals})


def open_revision(connection: sa.Connection, study_uid: str, arrivals: Sequence[Arrival]) -> int:
    """Lock the study's row, which serialises with `freeze`, and return its open revision."""
    known = connection.execute(LOCK_STUDY, {"uid": study_uid}).one_or_none()
    if known is None:
        first_s = min(item.received_s for item in arrivals if item.study_uid == study_uid)
        new = insert_into(STUDY, connection.dialect).values(
            study_uid=study_uid, first_s=first_s, revision=1, frozen=0
        )
        connection.execute(new.on_conflict_do_nothing())
        known = connection.execute(LOCK_STUDY, {"uid": study_uid}).one()
    revision: int = known.frozen + 1
    if known.revision != revision:
        connection.execute(
            sa.update(STUDY).where(STUDY.c.study_uid == study_uid).values(revision=revision)
        )
    return revision


def _record_one(connection: sa.Connection, arrival: Arrival) -> Outcome:
    known = connection.execute(
        sa.select(INSTANCE.c.sha256, INSTANCE.c.transfer_syntax_uid, INSTANCE.c.file).where(
            INSTANCE.c.sop_instance_uid == arrival.sop_instance_uid
        )
    ).one_or_none()
    if known is None:
        _insert(connection, [arrival])
        return Outcome.NEW
    if known.file == arrival.file:
        return Outcome.NEW  # a commit that failed and had succeeded all the same
    if (known.sha256, known.transfer_syntax_uid) == (arrival.sha256, arrival.transfer_syntax_uid):
        return Outcome.DUPLICATE
    aside = {column.name: getattr(arrival, column.name) for column in CONFLICT.c}
    same = [CONFLICT.c[name] == aside[name] for name in ("sop_instance_uid", "sha256")]
    if connection.execute(sa.select(CONFLICT.c.file).where(*same)).first() is not None:
        return Outcome.KNOWN_CONFLICT
    connection.execute(sa.insert(CONFLICT).values(aside))
    return Outcome.CONFLICT


def freeze(connection: sa.Connection, study_uid: str, revision: int) -> bool:
    """End a revision, so that its snapshot never changes; True where it is frozen now.

    May be repeated. False: the study does not have that revision.

    Parameters
    ----------
    connection
        In a transaction of the caller, who may write its job row in the same.
    """
    connection.execute(
        sa.update(STUDY)
        .where(
            STUDY.c.study_uid == study_uid,
            STUDY.c.revision == revision,
            STUDY.c.frozen == revision - 1,
        )
        .values(frozen=revision)
    )
    frozen = connection.execute(
        sa.select(STUDY.c.frozen).where(STUDY.c.study_uid == study_uid)
    ).scalar_one_or_none()
    return frozen is not None and frozen >= revision >= 1
