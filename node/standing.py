"""How a command begins that runs until it is told to stop."""

import signal
import threading
from pathlib import Path

from node.config import Config, load_config
from node.log_setup import set_up_logging


def begin(path: Path | None) -> tuple[Config, threading.Event]:
    """Load the configuration and log by it; the event is set by SIGTERM and by SIGINT.

    Raises
    ------
    UsageError
        The configuration cannot be read or has problems.
    """
    config = load_config(path)
    set_up_logging(config.logging.level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return config, stop
