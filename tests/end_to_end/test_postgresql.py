"""The same node with its index and its engine on PostgreSQL, and several hosts on one database."""

import os
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest
import sqlalchemy as sa

from node.engine.liveness import DatabaseLiveness, liveness
from tests.peers import HERE, ROOT, Node, Pacs, destination, send, study_of, wait_for
from tests.postgresql import server

LIVES = """
import sys, time
from node.engine.liveness import liveness
mine = liveness(sys.argv[1], None)
print(mine.executor_id, flush=True)
while mine.holds():
    time.sleep(0.2)
print("lost", flush=True)
"""


def node_on(folder, url, pacs) -> Node:
    node = Node(
        folder,
        storage={"directory": str(folder / "state"), "database_url": url},
        delivery={"destinations": [destination(pacs)], "first_retry_s": 0.5},
    )
    node.environment["ANALYSIS_SECONDS"] = "2"
    return node


@pytest.fixture
def pacs():
    pacs = Pacs().start()
    yield pacs
    pacs.stop()


@pytest.mark.peer
def test_a_killed_worker_goes_on_and_results_arrive_once(tmp_path, postgresql, pacs):
    node = node_on(tmp_path, postgresql, pacs).start().wait_until_ready()
    try:
        send(node.port, study_of(8, seed="postgresql"))
        wait_for(lambda: node.said("8 images"), "the analysis begins")
        node.kill("worker")
        wait_for(lambda: len(pacs.stored) == 3, "three results")
        assert set(pacs.offered.values()) == {1}
        assert set(pacs.comments.values()) == {"8 images"}
    finally:
        node.stop()


@pytest.mark.peer
def test_the_work_of_a_host_that_never_comes_back_is_done_by_another(tmp_path, postgresql, pacs):
    node = node_on(tmp_path, postgresql, pacs).start().wait_until_ready()
    send(node.port, study_of(8, seed="hosts"))
    wait_for(lambda: node.said("8 images"), "the analysis begins")
    for process in (None, "receiver", "worker"):
        node.kill(process)
    log = tmp_path / "other.log"
    analysis = [sys.executable, str(HERE / "analysis.py")]
    with log.open("wb") as file:
        other = subprocess.Popen(
            [sys.executable, str(HERE / "work.py"), str(node.config), *analysis],
            cwd=ROOT,
            stderr=file,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    try:
        wait_for(lambda: len(pacs.stored) == 3, "three results")
        assert set(pacs.offered.values()) == {1}
        assert "taking over the work of a dead worker" in log.read_text()
        assert not (tmp_path / "state" / "workers").exists()
    finally:
        other.terminate()
        other.wait(timeout=30)


@pytest.mark.peer
def test_a_worker_that_the_database_has_lost_sight_of_begins_anew(tmp_path, postgresql, pacs):
    node = node_on(tmp_path, postgresql, pacs).start().wait_until_ready()
    try:
        send(node.port, study_of(8, seed="lost"))
        wait_for(lambda: node.said("8 images"), "the analysis begins")
        end = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
        engine = sa.create_engine(postgresql)
        with engine.connect() as connection:
            assert connection.exec_driver_sql(end).scalars().all()
        engine.dispose()
        wait_for(lambda: node.said("has lost sight of this worker"), "the worker sees it")
        wait_for(lambda: len(pacs.stored) == 3, "three results")
        assert set(pacs.offered.values()) == {1}
    finally:
        node.stop()


def living(url, *inside):
    """Run a process that holds a lock; returns it and its name."""
    process = subprocess.Popen(
        [*inside, sys.executable, "-c", LIVES, url],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    return process, process.stdout.readline().strip()


def is_dead(mine, name) -> bool:
    with mine.seized(name) as dead:
        return dead


@pytest.mark.peer
def test_the_lock_of_a_living_worker_is_not_to_be_had_and_that_of_a_dead_one_is(postgresql):
    mine = liveness(postgresql, None)
    process, name = living(postgresql)
    try:
        assert isinstance(mine, DatabaseLiveness)
        assert not is_dead(mine, name)
        assert not is_dead(mine, mine.executor_id)
        process.kill()
        process.wait()
        wait_for(lambda: is_dead(mine, name), "the server sees the death")
    finally:
        process.kill()
        process.stdout.close()
        mine.close()
    assert not mine.holds()


@pytest.fixture
def two_hosts(program):
    """Two network namespaces with a cable between them; skips where that is not allowed."""
    program("ip")
    names = [f"pn{os.getpid()}{letter}" for letter in "ab"]
    with ExitStack() as stack:
        for name in names:
            if subprocess.run(["ip", "netns", "add", name], check=False).returncode != 0:
                pytest.skip("no network namespaces: not root")
            stack.callback(subprocess.run, ["ip", "netns", "delete", name], check=True)
            if subprocess.run(["ip", "-n", name, "link"], check=False).returncode != 0:
                pytest.skip("network namespaces cannot be entered: in a chroot, perhaps")
        link = ["ip", "-n", names[0], "link", "add", "cable", "type", "veth"]
        subprocess.run([*link, "peer", "name", "cable", "netns", names[1]], check=True)
        for number, name in enumerate(names, start=1):
            ip = ["ip", "-n", name]
            subprocess.run([*ip, "addr", "add", f"192.0.2.{number}/24", "dev", "cable"], check=True)
            subprocess.run([*ip, "link", "set", "lo", "up"], check=True)
            subprocess.run([*ip, "link", "set", "cable", "up"], check=True)
        yield names


@pytest.mark.peer
def test_a_host_that_falls_silent_loses_its_lock_and_knows_it(two_hosts):
    with_server, elsewhere = (["ip", "netns", "exec", name] for name in two_hosts)
    with server(inside=with_server, address="192.0.2.1") as url:
        process, name = living(url, *elsewhere)
        asks = (
            "import sys; from node.engine.liveness import liveness\n"
            "mine = liveness(sys.argv[1], None)\n"
            "with mine.seized(sys.argv[2]) as dead: sys.exit(not dead)\n"
        )

        def is_dead() -> bool:
            command = [*with_server, sys.executable, "-c", asks, url, name]
            return subprocess.run(command, cwd=ROOT, check=False).returncode == 0

        try:
            assert name
            assert not is_dead()
            subprocess.run(["ip", "-n", two_hosts[0], "link", "set", "cable", "down"], check=True)
            began_s = time.monotonic()
            wait_for(is_dead, "the server gives the lock away")
            assert time.monotonic() - began_s < 50
            assert process.stdout.readline().strip() == "lost"
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
