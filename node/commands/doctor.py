"""`perfusion-node doctor`: ask destinations and archives what they accept; look at our disk."""

import argparse

from node.arguments import add_config

HELP = "ask every destination what it accepts, and say which objects it would get"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the findings; 1 if something is wrong, else 0."""
    from node.config import load_config
    from node.deliver.examine import examine_archive, examine_destination, examine_storage
    from node.log_setup import set_up_logging

    config = load_config(arguments.config)
    set_up_logging("CRITICAL")  # the findings say it in words
    sound = True
    for finding in examine_storage(config):
        sound &= finding.good
        print(f"{'ok ' if finding.good else 'BAD'}  {finding.text}")
    if not config.delivery.destinations:
        print("     no destination is configured: results stay in the node")
    for destination in config.delivery.destinations:
        print(f"{destination.name} ({destination.ae_title} at {destination.host}):")
        for finding in examine_destination(destination, config):
            sound &= finding.good
            print(f"  {'ok ' if finding.good else 'BAD'}  {finding.text}")
    for archive in config.retrieve.archives:
        finding = examine_archive(archive, config)
        sound &= finding.good
        print(f"{archive.name} ({archive.ae_title} at {archive.host}), to fetch from:")
        print(f"  {'ok ' if finding.good else 'BAD'}  {finding.text}")
    return 0 if sound else 1
