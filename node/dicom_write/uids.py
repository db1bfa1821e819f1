"""Identifiers that depend on nothing but what went in.

The same images, analysed by the same version with the same settings, give the same UIDs on every
machine and in every process, so that a second run can never make a second series.
"""

import hashlib
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

from pydicom.uid import UID

_NAMESPACE = uuid.UUID("8f0f7e53-29c3-5b4d-9c4e-6f2a1d7b3c10")


@dataclass(frozen=True)
class Uids:
    """Makes the UIDs of one analysis of one study."""

    key: str
    """Hash of everything that the result depends on."""

    @classmethod
    def of(cls, instances: Iterable[str], version: str, settings: str) -> "Uids":
        """Derive the key from the SOP Instance UIDs of the input, in whatever order they come."""
        digest = hashlib.sha256()
        for part in (version, settings, *sorted(set(instances))):
            encoded = part.encode()
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
        return cls(digest.hexdigest())

    def key_of(self, words: object) -> str:
        """Shorten what an object says in words to a part of its name.

        The words tell of more than the analysed images (of what was left alone, for one), so an
        object that carries them must not keep its identifier when they change.
        """
        return hashlib.sha256(repr(words).encode()).hexdigest()[:32]

    def uid(self, *what: object) -> UID:
        """Make the UID of the object that `what` names, under 2.25 (PS3.5 B.2)."""
        name = "/".join(str(part) for part in (self.key, *what))
        return UID(f"2.25.{uuid.uuid5(_NAMESPACE, name).int}")
