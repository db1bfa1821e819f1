"""`perfusion-node serve`: run the node until a signal: receive, process, deliver."""

import argparse

from node.arguments import add_config

HELP = "run the node until a signal: receive, process, deliver"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Supervise receiver, worker and status page; returns 0 after SIGTERM or SIGINT."""
    from node.service import Supervisor, node_command
    from node.standing import begin

    config, stop = begin(arguments.config)
    names = {"receiver": "receive", "worker": "work"}
    if config.status.port is not None:
        names["status page"] = "status"
    commands = {name: node_command(command, arguments.config) for name, command in names.items()}
    Supervisor(commands).run(stop)
    return 0
