"""`perfusion-node work` with another analysis and less patience: work.py CONFIG COMMAND..."""

import signal
import sys
import threading
from pathlib import Path

from node.config import load_config
from node.lifeline import follow_parent, leave
from node.log_setup import set_up_logging
from node.worker import Worker
from node.workflow import study

if __name__ == "__main__":
    follow_parent()
    set_up_logging("INFO")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    study.LOOK_FOR_ROOM_S = 0.5
    Worker(load_config(Path(sys.argv[1])), command=sys.argv[2:]).run(stop)
    leave()
