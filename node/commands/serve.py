"""`perfusion-node serve`: run the node until a signal: receive, process, deliver."""

import argparse
import signal
import threading
from pathlib import Path

HELP = "run the node until a signal: receive, process, deliver"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("--config", type=Path, help="configuration file (default: all defaults)")


def run(arguments: argparse.Namespace) -> int:
    """Supervise receiver and worker; returns 0 after SIGTERM or SIGINT."""
    from node.config import load_config
    from node.log_setup import set_up_logging
    from node.service import Supervisor, node_command

    config = load_config(arguments.config)
    set_up_logging(config.logging.level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    names = {"receiver": "receive", "worker": "work"}
    if config.status.port is not None:
        names["status page"] = "status"
    commands = {name: node_command(command, arguments.config) for name, command in names.items()}
    Supervisor(commands).run(stop)
    return 0
