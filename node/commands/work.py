"""`perfusion-node work`: the worker alone, as `serve` starts it in a process of its own."""

import argparse

from node.arguments import add_config

HELP = "the worker alone (internal: serve starts it)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Work until SIGTERM or SIGINT; what is under way is taken up again by the next start."""
    from node.lifeline import leave
    from node.standing import begin
    from node.worker import Worker
    from node.workflow.child import COMMAND

    config, stop = begin(arguments.config)
    options = () if arguments.config is None else ("--config", str(arguments.config))
    Worker(config, command=(*COMMAND, *options)).run(stop)
    leave()
    return 0
