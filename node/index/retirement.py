"""Studies whose images and results were deleted after delivery, and files that are being deleted.

The rows go first, and the names of the files stay on a list until the files are gone. So no row
ever stands for a file that is about to go: an image that is sent again is taken as new, never as
a duplicate of one that is being deleted. And no file is ever without a name in the index: the
receiver, which records such files at its start, would bring the study back.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from node.index.arrivals import LOCK_STUDY
from node.index.jobs import Job, find_job
from node.index.ledger import DELIVERY, Delivery, study_deliveries
from node.index.tables import CONFLICT, DOOMED, INSTANCE, METADATA, STUDY, reading

RETIRED = sa.Table(
    "retired",
    METADATA,
    sa.Column("study_uid", sa.String(64), primary_key=True),
    sa.Column("revision", sa.Integer, nullable=False),  # the last that was deleted
    sa.Column("images", sa.Integer, nullable=False),
    sa.Column("retired_s", sa.Float, nullable=False),
    sa.Column("done", sa.Boolean, nullable=False),
)


@dataclass(frozen=True, kw_only=True)
class Retired:
    """A study that was deleted."""

    study_uid: str
    revision: int
    images: int
    """Of the whole study, also where only a part of it came again and was deleted later."""
    retired_s: float
    done: bool
    """Whether every file is gone."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A study that has been quiet, with what decides whether it may go."""

    study_uid: str
    revision: int
    job: Job | None
    deliveries: tuple[Delivery, ...]


def quiet_studies(index: sa.Engine, before_s: float) -> Iterator[Candidate]:
    """Find studies with images of which nothing is new since a time, the oldest first.

    Studies of which something has come in no revision yet, or is kept aside, are none.
    """
    last_s = sa.func.max(INSTANCE.c.received_s)
    # The image kept aside may say that it belongs to another study than the one that is used.
    used_in_conflict = sa.select(INSTANCE.c.study_uid).join(
        CONFLICT, CONFLICT.c.sop_instance_uid == INSTANCE.c.sop_instance_uid
    )
    query = (
        sa.select(STUDY.c.study_uid, STUDY.c.revision)
        .join(INSTANCE, INSTANCE.c.study_uid == STUDY.c.study_uid)
        .where(STUDY.c.frozen == STUDY.c.revision)
        .where(STUDY.c.study_uid.not_in(sa.select(CONFLICT.c.study_uid)))
        .where(STUDY.c.study_uid.not_in(used_in_conflict))
        .where(
            STUDY.c.study_uid.not_in(
                sa.select(DELIVERY.c.study_uid).where(DELIVERY.c.changed_s >= before_s)
            )
        )
        .group_by(STUDY.c.study_uid, STUDY.c.revision)
        .having(last_s < before_s)
        .order_by(last_s)
    )
    with reading(index) as connection:
        found = connection.execute(query).all()
    for row in found:
        yield Candidate(
            study_uid=row.study_uid,
            revision=row.revision,
            job=find_job(index, row.study_uid, row.revision),
            deliveries=study_deliveries(index, row.study_uid),
        )


def retire(index: sa.Engine, study_uid: str, revision: int, now_s: float) -> bool:
    """Take the images of a study out of the index and put their files on the list.

    False, and nothing is changed: something has come since.
    """
    mine = (INSTANCE.c.study_uid == study_uid, INSTANCE.c.revision <= revision)
    with index.begin() as connection:
        study = connection.execute(LOCK_STUDY, {"uid": study_uid}).one()
        if (study.revision, study.frozen) != (revision, revision):
            return False
        files = sa.select(INSTANCE.c.file, INSTANCE.c.study_uid, INSTANCE.c.sop_class_uid)
        connection.execute(
            DOOMED.insert().from_select(["file", "study_uid", "sop_class_uid"], files.where(*mine))
        )
        images = connection.execute(INSTANCE.delete().where(*mine)).rowcount
        before = sa.select(RETIRED.c.images).where(RETIRED.c.study_uid == study_uid)
        # What goes now may be a part that came again: the whole is what a later revision needs.
        images = max(images, connection.scalar(before) or 0)
        connection.execute(RETIRED.delete().where(RETIRED.c.study_uid == study_uid))
        connection.execute(
            RETIRED.insert().values(
                study_uid=study_uid,
                revision=revision,
                images=images,
                retired_s=now_s,
                done=False,
            )
        )
        return True


def unfinished(index: sa.Engine) -> tuple[Retired, ...]:
    """Return the studies of which files are still to be deleted."""
    return _retired(index, RETIRED.c.done.is_(False))


def find_retired(index: sa.Engine, study_uid: str) -> Retired | None:
    """Return what is known of a study that was deleted, or None."""
    found = _retired(index, RETIRED.c.study_uid == study_uid)
    return found[0] if found else None


def doomed_files(index: sa.Engine, study_uid: str) -> Mapping[str, str]:
    """Return the files of a study that are to be deleted, each with its SOP class."""
    query = sa.select(DOOMED.c.file, DOOMED.c.sop_class_uid).where(DOOMED.c.study_uid == study_uid)
    with reading(index) as connection:
        return {row.file: row.sop_class_uid for row in connection.execute(query)}


def finish(index: sa.Engine, study_uid: str) -> None:
    """Take the list away: the files are gone, durably."""
    with index.begin() as connection:
        connection.execute(DOOMED.delete().where(DOOMED.c.study_uid == study_uid))
        connection.execute(
            RETIRED.update().where(RETIRED.c.study_uid == study_uid).values(done=True)
        )


def _retired(index: sa.Engine, where: sa.ColumnElement[bool]) -> tuple[Retired, ...]:
    with reading(index) as connection:
        rows = connection.execute(sa.select(RETIRED).where(where).order_by(RETIRED.c.retired_s))
        return tuple(Retired(**row._mapping) for row in rows)
