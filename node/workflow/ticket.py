"""What names the durable work on a study."""

from dataclasses import dataclass

from node.index.jobs import Place

LANE = "study"
FETCH_LANE = "fetch"
LANES = (LANE, FETCH_LANE)


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """One attempt at one revision; its key names the durable work."""

    study_uid: str
    revision: int
    attempt: int
    lane: str = LANE

    @property
    def place(self) -> Place:
        """Without the lane."""
        return Place(self.study_uid, self.revision, self.attempt)

    @property
    def key(self) -> str:
        """``<lane>:<study UID>:<revision>:<attempt>``."""
        return f"{self.lane}:{self.study_uid}:{self.revision}:{self.attempt}"

    @classmethod
    def from_key(cls, key: str) -> "Ticket":
        """Read a key that `key` wrote."""
        lane, study_uid, revision, attempt = key.split(":")
        return cls(study_uid=study_uid, revision=int(revision), attempt=int(attempt), lane=lane)
