"""Where the node's own words go: one line each on standard error, never patient data."""

import logging
import sys

LINE = "%(asctime)s %(levelname)s %(name)s: %(message)s"
TALKATIVE = ("pydicom", "pynetdicom", "py.warnings")
"""Libraries whose messages may repeat values of tags."""


def set_up_logging(level: str) -> None:
    """Log to standard error from `level` on; libraries that may quote tags stay silent."""
    logging.basicConfig(level=level, format=LINE, stream=sys.stderr, force=True)
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    logging.captureWarnings(capture=True)
