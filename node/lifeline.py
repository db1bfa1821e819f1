"""A child of the node ends when its parent is gone, however the parent died.

Otherwise a killed supervisor would leave a receiver that holds the port, and a killed worker an
analysis that burns the processor for nobody.
"""

import logging
import os
import signal
import threading
import time

PARENT = "PERFUSION_NODE_PARENT"
"""Environment variable with the process id of the parent that a child belongs to."""

LOOK_S = 0.5
GRACE_S = 10.0


def follow_parent() -> None:
    """Watch the parent that the environment names, if it names one, from a thread."""
    parent = os.environ.get(PARENT)
    if parent is not None:
        threading.Thread(target=_follow, args=(int(parent),), daemon=True).start()


def leave(exit_code: int = 0) -> None:
    """End the process without unwinding the threads.

    A step of durable work that is unwound would be recorded as failed; one that ends with its
    process is repeated. Children end by themselves when their parent is gone.
    """
    logging.shutdown()
    os._exit(exit_code)


def _follow(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_S)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    leave(1)
