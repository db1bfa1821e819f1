"""What is here: how much of each study, and which instances in which files."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import groupby
from typing import Any

import sqlalchemy as sa

from node.index.tables import CONFLICT, DOOMED, INSTANCE, STUDY, reading

_UIDS_A_QUERY = 500  # SQLite takes at most 999 parameters in old builds


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
    rows = connection.execute(_series_of_studies().where(condition))
    of_studies = groupby(rows, key=lambda row: row.study_uid)
    return tuple(_study(list(own)) for _, own in of_studies)


def _series_of_studies() -> sa.Select[tuple[Any, ...]]:
    """Query one row a series, study by study."""
    lowest = sa.func.min(INSTANCE.c.expected_images)
    said_by = sa.func.count(INSTANCE.c.expected_images)
    # One voice, or none: a count that differs from image to image counts something else.
    of_one_voice = sa.and_(
        lowest == sa.func.max(INSTANCE.c.expected_images), said_by == sa.func.count()
    )
    return (
        sa.select(
            STUDY,
            INSTANCE.c.series_uid,
            sa.func.min(INSTANCE.c.modality).label("modality"),
            sa.func.count().label("received"),
            sa.func.max(INSTANCE.c.received_s).label("series_last_s"),
            sa.case((of_one_voice, lowest)).label("expected_images"),
        )
        .join_from(STUDY, INSTANCE)
        .group_by(*STUDY.c, INSTANCE.c.series_uid)
        .order_by(STUDY.c.study_uid, INSTANCE.c.series_uid)
    )


def _study(rows: Sequence[sa.Row[Any]]) -> StudyArrivals:
    """Make a study of the rows of its series."""
    return StudyArrivals(
        study_uid=rows[0].study_uid,
        revision=rows[0].revision,
        frozen=rows[0].frozen,
        first_s=rows[0].first_s,
        last_s=max(row.series_last_s for row in rows),
        series=tuple(
            SeriesArrivals(
                series_uid=row.series_uid,
                modality=row.modality,
                received=row.received,
                expected_images=row.expected_images,
                last_s=row.series_last_s,
            )
            for row in rows
        ),
    )


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
            _instances().where(INSTANCE.c.study_uid == study_uid, INSTANCE.c.revision <= revision)
        ).all()
    return tuple(InstanceRow(**row._mapping) for row in rows)


def find_instances(engine: sa.Engine, uids: Sequence[str]) -> dict[str, InstanceRow]:
    """Return those of the instances that are here, by SOP Instance UID."""
    found: dict[str, InstanceRow] = {}
    with reading(engine) as connection:
        for start in range(0, len(uids), _UIDS_A_QUERY):
            part = list(uids[start : start + _UIDS_A_QUERY])
            rows = connection.execute(_instances().where(INSTANCE.c.sop_instance_uid.in_(part)))
            found.update({row.sop_instance_uid: InstanceRow(**row._mapping) for row in rows})
    return found


def known_files(engine: sa.Engine) -> set[str]:
    """Return every file of the spool that a row names, those that are being deleted too."""
    with reading(engine) as connection:
        statement = sa.union_all(
            *(sa.select(table.c.file) for table in (INSTANCE, CONFLICT, DOOMED))
        )
        return set(connection.execute(statement).scalars())


def _instances() -> sa.Select[tuple[str, ...]]:
    columns = (INSTANCE.c[one.name] for one in fields(InstanceRow))
    return sa.select(*columns).order_by(INSTANCE.c.sop_instance_uid)
