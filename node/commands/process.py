"""Analyse the DICOM files of one study and write the result objects, without a network."""

import argparse
import json
import sys
from pathlib import Path

from node.arguments import add_config

HELP = "analyse a folder of DICOM files and write the result objects"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("study", type=Path, metavar="STUDY_DIR", help="DICOM files in any layout")
    parser.add_argument("--out", type=Path, required=True, help="folder for the result objects")
    add_config(parser)
    parser.add_argument(
        "--rest-systolic",
        type=float,
        metavar="MMHG",
        help="systolic pressure at rest, to correct rest flow for the work of the heart",
    )
    parser.add_argument(
        "--replaces",
        type=Path,
        action="append",
        default=[],
        metavar="DIR",
        help="results made before of the same study, which the new ones replace; named after their "
        "revision; may be given again, the oldest first",
    )
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")


def run(arguments: argparse.Namespace) -> int:
    """Return 0: results written; 3: nothing to analyse; 4: withheld by the quality gate."""
    from node.config import load_config, with_rest_systolic
    from node.log_setup import set_up_logging
    from node.process import EXIT_CODES, process_study, summary, text

    config = load_config(arguments.config)
    set_up_logging(config.logging.level)
    if arguments.rest_systolic is not None:
        config = with_rest_systolic(config, arguments.rest_systolic)
    outcome = process_study(
        arguments.study, arguments.out, config, _to_stderr, replaces=arguments.replaces
    )
    if arguments.json:
        print(json.dumps(summary(outcome), indent=2, allow_nan=False))
    else:
        print(text(outcome))
    return EXIT_CODES[outcome.status]


def _to_stderr(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
