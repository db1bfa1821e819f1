"""The `perfusion-node` command: arguments in, exit codes out.

0: done; 1: failed; 2: usage or configuration; 3: nothing to analyse; 4: withheld; 5: the disk is
full; 6: out of memory. After the last two a later try may go better.
"""

import argparse
import importlib
import io
import logging
import pkgutil
import sys
from collections.abc import Callable, Sequence

from node import commands
from node.errors import (
    NodeError,
    NoRoomError,
    OutOfMemoryError,
    is_for_want_of_memory,
    is_for_want_of_room,
)
from node.lifeline import follow_parent

COMMANDS = tuple(sorted(module.name for module in pkgutil.iter_modules(commands.__path__)))
"""Every module of `node.commands` is a command. They import what is heavy in `run` alone."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and translate its errors into exit codes."""
    arguments = _parser().parse_args(argv)
    follow_parent()
    return guarded(lambda: int(arguments.run(arguments)))


def guarded(work: Callable[[], int]) -> int:
    """Return the exit code of `work`, or that of its error."""
    try:
        exit_code = work()
        sys.stdout.flush()  # so that what cannot be written is an error here
    except (NodeError, OSError, MemoryError, RuntimeError) as error:
        if is_for_want_of_memory(error):
            return _said(OutOfMemoryError("out of memory"))
        if is_for_want_of_room(error):
            sys.stdout = io.StringIO()  # what could not be written would fail again at the end
            return _said(NoRoomError("the disk is full"))
        if not isinstance(error, NodeError):
            raise
        return _said(error)
    except KeyboardInterrupt:
        return 130
    return exit_code


def _said(error: NodeError) -> int:
    print(f"perfusion-node: {error}", file=sys.stderr)  # noqa: T201  what the command says
    logging.getLogger(__name__).debug("the error above, with its origin", exc_info=error)
    return error.exit_code


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
