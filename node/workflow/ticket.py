"""What names the durable work on a study."""

from dataclasses import dataclass

LANE = "study"


@dataclass(frozen=True, kw_only=True)
class Ticket:
    """One attempt at one revision; its key names the durable work."""

    study_uid: str
    revision: int
    attempt: int

    @property
    def key(self) -> str:
        """``study:<study UID>:<revision>:<attempt>``."""
        return f"{LANE}:{self.study_uid}:{self.revision}:{self.attempt}"

    @classmethod
    def from_key(cls, key: str) -> "Ticket":
        """Read a key that `key` wrote."""
        _, study_uid, revision, attempt = key.split(":")
        return cls(study_uid=study_uid, revision=int(revision), attempt=int(attempt))
