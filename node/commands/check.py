"""`perfusion-node check`: read the configuration whole and report every problem at once.

Weights of a site are tried out, too: a node that cannot outline a heart should not be started.
"""

import argparse

from node.arguments import add_config
from node.config import load_config

HELP = "read the configuration and report every problem at once"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Return 0 for a valid configuration; its problems are raised as one `UsageError`."""
    config = load_config(arguments.config)
    if config.analysis.weights is not None:
        from node.weights import anatomy_network

        anatomy_network(config.analysis.weights)
    destinations = len(config.delivery.destinations)
    print(
        f"The configuration is valid: {config.receive.ae_title} on port {config.receive.port}, "
        f"{destinations or 'no'} destination{'s' if destinations != 1 else ''}."
    )
    return 0
