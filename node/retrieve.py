"""Studies from an archive: found by C-FIND, brought by C-MOVE or C-GET, taken by the receiver.

With C-MOVE the archive sends to our receiver as any scanner does. With C-GET the images come over
our own association and are handed to the receiver from here, so that there is one way into the
spool.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydicom.dataset import Dataset
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import build_context, build_role, evt
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.presentation import PresentationContext

from node.config import Archive, Config
from node.errors import TransientDeliveryError
from node.peers import own_receiver, peer_of
from node.query_scu import FIND, GET, MOVE, find, identifier_of, transfer
from node.store_scu import (
    Answer,
    AnswerKind,
    NoAssociationError,
    associated,
    read_instance,
    store,
)

Way = Literal["move", "get"]

MR_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.4",  # MR Image Storage
    "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR Image Storage
    "1.2.840.10008.5.1.4.1.1.4.4",  # Legacy Converted Enhanced MR Image Storage
)


def find_studies(archive: Archive, config: Config, keys: Mapping[str, str]) -> list[str]:
    """Study Instance UIDs that match, by C-FIND.

    Raises
    ------
    TransientDeliveryError
        The archive cannot be asked.
    """
    with _connected(archive, config, [build_context(FIND)]) as association:
        matches = find(association, "STUDY", {"StudyInstanceUID": "", **keys})
        return sorted({str(match.StudyInstanceUID) for match in matches})


def fetch_study(
    archive: Archive,
    config: Config,
    study_uid: str,
    *,
    way: Way,
    told: Callable[[int], None],
) -> tuple[int, int]:
    """Bring a study to our receiver; returns (images taken, images that failed).

    Raises
    ------
    TransientDeliveryError
        The archive or our own receiver cannot be reached, or the transfer fails as a whole.
    """
    return _fetch(
        archive, config, identifier_of("STUDY", {"StudyInstanceUID": study_uid}), way, told
    )


def find_series(archive: Archive, config: Config, study_uid: str) -> list[Dataset]:
    """Series of a study with modality, description and number of images, by C-FIND.

    Raises
    ------
    TransientDeliveryError
        The archive cannot be asked.
    """
    asked = ("SeriesInstanceUID", "Modality", "SeriesDescription", "NumberOfSeriesRelatedInstances")
    keys = {"StudyInstanceUID": study_uid, **dict.fromkeys(asked, "")}
    with _connected(archive, config, [build_context(FIND)]) as association:
        return list(find(association, "SERIES", keys))


def fetch_series(
    archive: Archive, config: Config, study_uid: str, series_uid: str, *, way: Way
) -> tuple[int, int]:
    """Bring one series to our receiver; returns (images taken, images that failed).

    Raises
    ------
    TransientDeliveryError
        As `fetch_study`.
    """
    keys = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid}
    return _fetch(archive, config, identifier_of("SERIES", keys), way, lambda _: None)


def _fetch(
    archive: Archive, config: Config, wanted: Dataset, way: Way, told: Callable[[int], None]
) -> tuple[int, int]:
    return (_move if way == "move" else _get)(archive, config, wanted, told)


def _move(
    archive: Archive, config: Config, wanted: Dataset, told: Callable[[int], None]
) -> tuple[int, int]:
    with _connected(archive, config, [build_context(MOVE)]) as association:
        return transfer(association.send_c_move(wanted, config.receive.ae_title, MOVE), told)


def _get(
    archive: Archive, config: Config, wanted: Dataset, told: Callable[[int], None]
) -> tuple[int, int]:
    syntaxes: list[str | UID] = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
    contexts = [build_context(GET), *(build_context(uid, syntaxes) for uid in MR_CLASSES)]
    with tempfile.TemporaryDirectory(dir=config.storage.directory) as name:
        folder = Path(name)

        def keep(event: evt.Event) -> int:
            # Named by count: nothing that comes over the network names a file.
            path = folder / f"{len(list(folder.iterdir())):06d}.dcm"
            path.write_bytes(event.encoded_dataset())
            return 0x0000

        with _connected(
            archive,
            config,
            contexts,
            handlers=[(evt.EVT_C_STORE, keep)],
            roles=[build_role(uid, scp_role=True) for uid in MR_CLASSES],
        ) as association:
            _, failed = transfer(association.send_c_get(wanted, GET), told)
        taken, refused = _hand_over(sorted(folder.iterdir()), archive, config)
    return taken, failed + refused


def _hand_over(paths: Sequence[Path], archive: Archive, config: Config) -> tuple[int, int]:
    """Give fetched images to our own receiver, in the name of the archive."""
    answers: list[Answer] = []
    store(
        own_receiver(config, calling_ae_title=archive.ae_title),
        [read_instance(path) for path in paths],
        lambda _instance, answer: answers.append(answer),
    )
    taken = sum(answer.kind is AnswerKind.STORED for answer in answers)
    if answers and not taken:
        raise TransientDeliveryError(f"our own receiver does not take them: {answers[0].text}")
    return taken, len(answers) - taken


@contextmanager
def _connected(
    archive: Archive,
    config: Config,
    contexts: list[PresentationContext],
    *,
    handlers: Sequence[tuple[evt.EventType, Callable[[evt.Event], object]]] = (),
    roles: Sequence[SCP_SCU_RoleSelectionNegotiation] = (),
) -> Iterator[Association]:
    peer = replace(peer_of(archive, config), timeout_s=config.retrieve.timeout_s)
    try:
        with associated(peer, contexts, handlers=handlers, roles=roles) as association:
            yield association
    except NoAssociationError as error:
        raise TransientDeliveryError(f"{archive.name} cannot be asked: {error}") from error
