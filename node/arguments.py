"""Options and actions that several commands share."""

import argparse
from collections.abc import Mapping
from pathlib import Path


def add_config(parser: argparse.ArgumentParser) -> None:
    """Declare `--config`."""
    parser.add_argument("--config", type=Path, help="configuration file (default: all defaults)")


def add_actions(
    parser: argparse.ArgumentParser, *, listing: str, others: Mapping[str, str], of: str
) -> None:
    """Declare ``list``, which is the default, and actions on one thing that was listed.

    `--config` and `--json` may stand before the action and after it.

    Parameters
    ----------
    listing, others
        What ``list`` and each other action does, for the help.
    of
        What the other actions are given: in capitals for the help, in small letters the attribute.
    """
    _add_common(parser)
    # What is not said after the action must not overwrite what was said before it.
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    _add_common(common)
    actions = parser.add_subparsers(metavar="ACTION", dest="action")
    actions.add_parser("list", help=f"{listing} (default)", parents=[common])
    for name, text in others.items():
        action = actions.add_parser(name, help=text, parents=[common])
        action.add_argument(of.lower(), metavar=of)


def _add_common(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--json", action="store_true", help="for machines")
