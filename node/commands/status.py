"""`perfusion-node status`: the status page alone, as `serve` starts it in a process of its own."""

import argparse
import threading

from node.arguments import add_config

HELP = "the status page alone (internal: serve starts it)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until SIGTERM or SIGINT."""
    from node.index.tables import open_index
    from node.standing import begin
    from node.status.server import StatusServer

    config, stop = begin(arguments.config)
    with StatusServer(config, open_index(config.storage)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stop.wait()
        server.shutdown()
    return 0
