"""`perfusion-node serve` with another analysis: serve.py CONFIG COMMAND..."""

import signal
import sys
import threading
from pathlib import Path

from node.log_setup import set_up_logging
from node.service import Supervisor, node_command

if __name__ == "__main__":
    set_up_logging("INFO")
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    worker = [sys.executable, str(Path(__file__).with_name("work.py")), *sys.argv[1:]]
    receiver = node_command("receive", Path(sys.argv[1]))
    Supervisor({"receiver": receiver, "worker": worker}).run(stop)
