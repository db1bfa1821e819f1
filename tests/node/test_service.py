"""The supervisor, on children that do nothing else than run or end."""

import sys
import threading

import pytest

from node.service import ChildGaveUpError, Supervisor

RUNS = [sys.executable, "-c", "import time; time.sleep(60)"]


def ends_with(exit_code):
    return [sys.executable, "-c", f"raise SystemExit({exit_code})"]


def test_a_child_with_a_wrong_configuration_ends_the_node_for_good():
    supervisor = Supervisor({"receiver": RUNS, "worker": ends_with(2)})
    with pytest.raises(ChildGaveUpError, match="the worker cannot start") as raised:
        supervisor.run(threading.Event())
    assert raised.value.exit_code == 2  # which systemd does not meet with another start
    assert not any(child.process.poll() is None for child in supervisor._children)


def test_a_child_that_crashes_is_started_again_after_a_pause(tmp_path):
    stop, lived = threading.Event(), tmp_path / "lived"
    script = f"open({str(lived)!r}, 'a').write('x'); raise SystemExit(1)"

    def stop_after_three():
        while not lived.exists() or len(lived.read_text()) < 3:
            stop.wait(0.05)
        stop.set()

    threading.Thread(target=stop_after_three, daemon=True).start()
    supervisor = Supervisor({"worker": [sys.executable, "-c", script]})
    supervisor.run(stop)
    [child] = supervisor._children
    assert child.crashes >= 2
    assert child.pause_s() >= 1.0
