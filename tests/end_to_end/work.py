"""`perfusion-node work` with another analysis: work.py CONFIG COMMAND..."""

import signal
import sys
import threading
from pathlib import Path

from node.config import load_config
from node.lifeline import follow_parent, leave
from node.log_setup import set_up_logging
from node.worker import Worker

if __name__ == "__main__":
    follow_parent()
    set_up_logging("INFO")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    Worker(load_config(Path(sys.argv[1])), command=sys.argv[2:]).run(stop)
    leave()
