"""The `perfusion-node` command: arguments in, exit codes out.

0: done; 1: failed; 2: usage or configuration; 3: nothing to analyse; 4: withheld.
"""

import argparse
import importlib
import logging
import pkgutil
import sys
from collections.abc import Sequence

from node import commands
from node.errors import NodeError
from node.lifeline import follow_parent

COMMANDS = tuple(sorted(module.name for module in pkgutil.iter_modules(commands.__path__)))
"""Every module of `node.commands` is a command. They import what is heavy in `run` alone."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and translate its errors into exit codes."""
    arguments = _parser().parse_args(argv)
    follow_parent()
    try:
        return int(arguments.run(arguments))
    except NodeError as error:
        print(f"perfusion-node: {error}", file=sys.stderr)  # noqa: T201
        logging.getLogger(__name__).debug("the error above, with its origin", exc_info=True)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="perfusion-node",
        description="Quantitative first-pass perfusion cardiac MRI as a DICOM node. "
        "Research use only.",
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        command = importlib.import_module(f"node.commands.{name}")
        subparser = subparsers.add_parser(name, help=command.HELP, description=command.__doc__)
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser
