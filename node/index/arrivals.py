"""What has arrived: instances, their studies, and the revisions that the worker freezes.

An instance belongs to the revision that was open when it came. Freezing a revision ends it: its
snapshot never changes again, and a late image opens the next one.
"""

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from node.index.tables import CONFLICT, DOOMED, INSTANCE, STUDY, insert_into, reading

_UIDS_A_QUERY = 500  # SQLite takes at most 999 parameters in old builds

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


@dataclass(frozen=True, kw_only=True)
class Arrival:
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


@dataclass(frozen=True)
class InstanceRow:
    """An instance as the index knows it."""

    sop_instance_uid: str
    series_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    file: str
    sha256: str


@dataclass(frozen=True)
class SeriesArrivals:
    """How much of one series is here."""

    series_uid: str
    modality: str
    received: int
    expected_images: int | None
    """None where the headers do not say it, or contradict each other."""
    last_s: float


@dataclass(frozen=True)
class StudyArrivals:
    """How much of one study is here."""

    study_uid: str
    revision: int
    """The highest revision that any instance has."""
    frozen: int
    """The highest revision that was frozen; 0 for none."""
    first_s: float
    last_s: float
    series: tuple[SeriesArrivals, ...]


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


def _insert(connection: sa.Connection, arrivals: Sequence[Arrival]) -> None:
    revisions = {uid: open_revision(connection, uid, arrivals) for uid in _studies(arrivals)}
    # vars() and not asdict(), which copies deeply: all values are plain.
    rows = [vars(arrival) | {"revision": revisions[arrival.study_uid]} for arrival in arrivals]
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


def open_studies(engine: sa.Engine, now_s: float) -> tuple[StudyArrivals, ...]:
    """Return every study with something that is in no frozen revision.

    A clock that was set back would leave arrivals in the future, and a study waiting until then:
    they are taken as having come now.
    """
    with reading(engine) as connection:
        studies = _arrivals(connection, STUDY.c.revision > STUDY.c.frozen)
    if all(study.last_s <= now_s for study in studies):
        return studies
    with engine.begin() as connection:
        connection.execute(
            sa.update(INSTANCE).where(INSTANCE.c.received_s > now_s).values(received_s=now_s)
        )
        return _arrivals(connection, STUDY.c.revision > STUDY.c.frozen)


def study_arrivals(engine: sa.Engine, study_uid: str) -> StudyArrivals | None:
    """Return what is here of one study, or None where nothing is."""
    with reading(engine) as connection:
        found = _arrivals(connection, STUDY.c.study_uid == study_uid)
    return found[0] if found else None


def _arrivals(
    connection: sa.Connection, condition: sa.ColumnElement[bool]
) -> tuple[StudyArrivals, ...]:
    lowest = sa.func.min(INSTANCE.c.expected_images)
    said_by = sa.func.count(INSTANCE.c.expected_images)
    rows = connection.execute(
        sa.select(
            STUDY,
            INSTANCE.c.series_uid,
            sa.func.min(INSTANCE.c.modality).label("modality"),
            sa.func.count().label("received"),
            sa.func.max(INSTANCE.c.received_s).label("series_last_s"),
            # One voice, or none: a count that differs from image to image counts something else.
            sa.case(
                (
                    sa.and_(
                        lowest == sa.func.max(INSTANCE.c.expected_images),
                        said_by == sa.func.count(),
                    ),
                    lowest,
                )
            ).label("expected_images"),
        )
        .join_from(STUDY, INSTANCE)
        .where(condition)
        .group_by(*STUDY.c, INSTANCE.c.series_uid)
        .order_by(STUDY.c.study_uid, INSTANCE.c.series_uid)
    ).all()
    return tuple(
        StudyArrivals(
            study_uid=own[0].study_uid,
            revision=own[0].revision,
            frozen=own[0].frozen,
            first_s=own[0].first_s,
            last_s=max(row.series_last_s for row in own),
            series=tuple(
                SeriesArrivals(
                    series_uid=row.series_uid,
                    modality=row.modality,
                    received=row.received,
                    expected_images=row.expected_images,
                    last_s=row.series_last_s,
                )
                for row in own
            ),
        )
        for own in _by_study(rows)
    )


def _by_study(rows: Iterable[sa.Row[Any]]) -> list[list[sa.Row[Any]]]:
    groups: dict[str, list[sa.Row[Any]]] = {}
    for row in rows:
        groups.setdefault(row.study_uid, []).append(row)
    return list(groups.values())


def freeze(engine: sa.Engine, study_uid: str, revision: int) -> bool:
    """End a revision, so that its snapshot never changes; True where it is frozen now.

    May be repeated. False: the study does not have that revision.
    """
    with engine.begin() as connection:
        return freeze_in(connection, study_uid, revision)


def freeze_in(connection: sa.Connection, study_uid: str, revision: int) -> bool:
    """`freeze` inside a transaction of the caller, who may write its job row in the same."""
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


def frozen_studies(engine: sa.Engine) -> tuple[tuple[str, int], ...]:
    """Return (study UID, highest frozen revision) of every study that was ever frozen."""
    with reading(engine) as connection:
        rows = connection.execute(
            sa.select(STUDY.c.study_uid, STUDY.c.frozen)
            .where(STUDY.c.frozen > 0)
            .order_by(STUDY.c.study_uid)
        ).all()
    return tuple((row.study_uid, row.frozen) for row in rows)


def snapshot(engine: sa.Engine, study_uid: str, revision: int) -> tuple[InstanceRow, ...]:
    """Return the instances of a study up to a revision, ordered by UID.

    For a frozen revision this is the same answer for ever, unless a person settles a conflict.
    """
    with reading(engine) as connection:
        rows = connection.execute(
            _instance_columns().where(
                INSTANCE.c.study_uid == study_uid, INSTANCE.c.revision <= revision
            )
        ).all()
    return tuple(_instance_row(row) for row in rows)


def find_instances(engine: sa.Engine, uids: Sequence[str]) -> dict[str, InstanceRow]:
    """Return those of the instances that are here, by SOP Instance UID."""
    found: dict[str, InstanceRow] = {}
    with reading(engine) as connection:
        for start in range(0, len(uids), _UIDS_A_QUERY):
            part = list(uids[start : start + _UIDS_A_QUERY])
            rows = connection.execute(
                _instance_columns().where(INSTANCE.c.sop_instance_uid.in_(part))
            )
            found.update({row.sop_instance_uid: _instance_row(row) for row in rows})
    return found


def known_files(engine: sa.Engine) -> set[str]:
    """Return every file of the spool that a row names, those that are being deleted too."""
    with reading(engine) as connection:
        statement = sa.union_all(
            *(sa.select(table.c.file) for table in (INSTANCE, CONFLICT, DOOMED))
        )
        return set(connection.execute(statement).scalars())


def _instance_row(row: sa.Row[Any]) -> InstanceRow:
    return InstanceRow(
        sop_instance_uid=row.sop_instance_uid,
        series_uid=row.series_uid,
        sop_class_uid=row.sop_class_uid,
        transfer_syntax_uid=row.transfer_syntax_uid,
        file=row.file,
        sha256=row.sha256,
    )


def _instance_columns() -> sa.Select[tuple[str, str, str, str, str, str]]:
    return sa.select(
        INSTANCE.c.sop_instance_uid,
        INSTANCE.c.series_uid,
        INSTANCE.c.sop_class_uid,
        INSTANCE.c.transfer_syntax_uid,
        INSTANCE.c.file,
        INSTANCE.c.sha256,
    ).order_by(INSTANCE.c.sop_instance_uid)
