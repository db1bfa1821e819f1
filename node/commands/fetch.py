"""`perfusion-node fetch`: bring a study from an archive into the node."""

import argparse
import sys

from node.arguments import add_config

HELP = "bring a study from an archive into the node, by UID or accession number"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_config(parser)
    parser.add_argument("--from", dest="archive", required=True, help="name in retrieve.archives")
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--study", metavar="UID", help="Study Instance UID")
    which.add_argument("--accession", metavar="NUMBER", help="accession number")
    parser.add_argument(
        "--by",
        choices=("move", "get"),
        default="move",
        help="C-MOVE to our receiver, which the archive must know (default), or C-GET",
    )


def run(arguments: argparse.Namespace) -> int:
    """Find and fetch; 0: everything came, 1: something or all did not, 3: nothing matches."""
    from node.config import load_config
    from node.errors import UsageError
    from node.log_setup import set_up_logging
    from node.retrieve import fetch_study, find_studies

    config = load_config(arguments.config)
    set_up_logging("CRITICAL")  # the outcome is said in words
    archives = {archive.name: archive for archive in config.retrieve.archives}
    if arguments.archive not in archives:
        raise UsageError(f"no archive '{arguments.archive}' in retrieve.archives")
    archive = archives[arguments.archive]
    keys = (
        {"StudyInstanceUID": arguments.study}
        if arguments.study
        else {"AccessionNumber": arguments.accession}
    )
    studies = find_studies(archive, config, keys)
    if not studies:
        print(f"{archive.name} has no such study")
        return 3
    lost = 0
    for study_uid in studies:
        taken, failed = fetch_study(archive, config, study_uid, way=arguments.by, told=_tell)
        lost += failed
        print(f"{study_uid}: {taken} images" + (f", {failed} failed" if failed else ""))
    return 1 if lost else 0


def _tell(taken: int) -> None:
    if sys.stderr.isatty():
        print(f"{taken} images so far", end="\r", file=sys.stderr)
