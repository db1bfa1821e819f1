"""`perfusion-node receive`: the receiver alone, as `serve` starts it in a process of its own."""

import argparse
import sys

from node.arguments import add_config

HELP = "the receiver alone (internal: serve starts it)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Receive until SIGTERM or SIGINT, then end the associations and return 0."""
    # pydicom takes numpy where it finds it. Nothing here makes an array, so it shall not find it.
    sys.modules["numpy"] = None  # type: ignore[assignment]  # the documented way to bar an import
    from node.receive.process import receive_until
    from node.standing import begin

    config, stop = begin(arguments.config)
    receive_until(stop, config)
    return 0
