"""The whole loop on this machine: a phantom study over the network, results in a PACS, pictures."""

import argparse
from pathlib import Path

HELP = "the whole loop on this machine, with pictures"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("--out", type=Path, default=Path("demo-output"), help="for the pictures")
    parser.add_argument("--seed", type=int, default=1, help="of the phantom")


def run(arguments: argparse.Namespace) -> int:
    """Return 0 when everything came back from the PACS."""
    from rich.console import Console

    from node.demo.loop import run_demo

    run_demo(arguments.out, seed=arguments.seed, console=Console())
    return 0
