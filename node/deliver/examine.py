"""What `doctor` looks at: each destination and archive by negotiation, and our own storage."""

import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from pydicom.uid import UID
from pynetdicom import build_context
from pynetdicom.association import Association

from node.config import Archive, Config, Destination
from node.index.health import databases
from node.peers import peer_of
from node.query_scu import FIND, GET, MOVE
from node.representation import STANDS_IN
from node.store_scu import NoAssociationError, NothingAcceptedError, associated

VERIFICATION = UID("1.2.840.10008.1.1")

SOP_CLASSES: Mapping[str, str] = {
    "reference": "1.2.840.10008.5.1.4.1.1.4",  # MR Image Storage
    "segmentation": "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation Storage
    "parametric-map": "1.2.840.10008.5.1.4.1.1.30",  # Parametric Map Storage
    "mbf-mr": "1.2.840.10008.5.1.4.1.1.4",
    "report": "1.2.840.10008.5.1.4.1.1.88.33",  # Comprehensive SR Storage
    "pictures": "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture Image Storage
    "motion": "1.2.840.10008.5.1.4.1.1.4",
    "pdf": "1.2.840.10008.5.1.4.1.1.104.1",  # Encapsulated PDF Storage
}

REJECTION_NOTE = UID("1.2.840.10008.5.1.4.1.1.88.59")  # Key Object Selection Document Storage


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at."""

    good: bool
    text: str


def examine_destination(destination: Destination, config: Config) -> Iterator[Finding]:
    """Ask a destination for an echo and for every class of object that it would get."""
    peer = peer_of(destination, config)
    contexts = [
        build_context(sop_class, list(peer.plain_syntaxes))
        for sop_class in dict.fromkeys([*SOP_CLASSES.values(), REJECTION_NOTE])
    ]
    try:
        with associated(peer, [build_context(VERIFICATION), *contexts]) as association:
            answers = (
                _takes(association, VERIFICATION)
                and association.send_c_echo().get("Status") == 0x0000
            )
            yield Finding(good=answers, text=f"C-ECHO {'answered' if answers else 'not answered'}")
            takes_notes = _takes(association, REJECTION_NOTE)
            accepted = {kind for kind, uid in SOP_CLASSES.items() if _takes(association, UID(uid))}
    except NoAssociationError as error:
        yield Finding(good=False, text=str(error))
        return
    made = config.results.objects
    gets = [kind for kind in made if not destination.objects or kind in destination.objects]
    yield from _what_it_gets(gets, accepted)
    if config.results.superseding == "rejection-note":
        yield _about_notes(takes_notes=takes_notes)


def _takes(association: Association, sop_class: UID) -> bool:
    return any(context.abstract_syntax == sop_class for context in association.accepted_contexts)


def _what_it_gets(kinds: Collection[str], accepted: Collection[str]) -> Iterator[Finding]:
    for kind in kinds:
        name = UID(SOP_CLASSES[kind]).name
        if kind in accepted:
            yield Finding(good=True, text=f"{kind}: accepts {name}")
            continue
        instead = STANDS_IN.get(kind)
        while instead is not None and instead not in accepted:
            instead = STANDS_IN.get(instead)
        if instead is None:
            yield Finding(good=False, text=f"{kind}: does not accept {name}; nothing stands in")
        else:
            yield Finding(
                good=True, text=f"{kind}: does not accept {name}; {instead} stands in for it"
            )


def _about_notes(*, takes_notes: bool) -> Finding:
    if takes_notes:
        return Finding(good=True, text="replaced results: accepts the note that rejects them")
    return Finding(
        good=False,
        text="replaced results: does not accept Key Object Selections, so they would stay visible; "
        "set results.superseding to statement",
    )


def examine_archive(archive: Archive, config: Config) -> Finding:
    """Ask an archive whether it can be searched, and by which ways it would bring images."""
    services = {"C-FIND": FIND, "C-MOVE": MOVE, "C-GET": GET}
    contexts = [build_context(service) for service in services.values()]
    try:
        with associated(peer_of(archive, config), contexts) as association:
            offers = [name for name, service in services.items() if _takes(association, service)]
    except NothingAcceptedError:
        offers = []
    except NoAssociationError as error:
        return Finding(good=False, text=str(error))
    missing = [] if "C-FIND" in offers else ["C-FIND"]
    if not {"C-MOVE", "C-GET"} & set(offers):
        missing.append("C-MOVE or C-GET")
    text = f"offers {' and '.join(offers) or 'none of our services'}"
    return Finding(
        good=not missing,
        text=f"{text}; nothing can be fetched without {' and '.join(missing)}" if missing else text,
    )


def examine_storage(config: Config) -> Iterator[Finding]:
    """Look at the disk and at the databases of this node; nothing is changed."""
    folder = config.storage.directory
    if not folder.is_dir():
        yield Finding(good=False, text="the storage directory does not exist yet, or is away")
        return
    free_mb = shutil.disk_usage(folder).free // 2**20
    enough = free_mb >= config.receive.minimum_free_mb
    yield Finding(
        good=enough,
        text=f"{free_mb} MB free (C-STORE is refused below {config.receive.minimum_free_mb} MB)",
    )
    for database in databases(config.storage):
        words = [database.name, database.problem or "ok", database.repair]
        if not database.problem:
            words.pop()
        yield Finding(good=not database.problem, text=": ".join(filter(None, words)))
