"""The receiver under kill -9, power cuts and full disks: what it acknowledged is there, once.

PERFUSION_KILLS sets how often it is killed.
"""

import hashlib
import os
import random
import shutil
import threading
import time
from pathlib import Path

import pytest

from node.config import Storage
from node.index.holdings import snapshot, study_arrivals
from node.index.tables import open_index
from node.receive.recover import recover
from node.spool import Spool
from tests.forked import ForkedReceiver
from tests.raw_sender import (
    SUCCESS,
    LostError,
    RawSender,
    ReceiverProcess,
    mr_data_set,
)

KILLS = int(os.environ.get("PERFUSION_KILLS", "50"))
STUDY = "1.2.826.0.1.5"


@pytest.fixture
def receiver(tmp_path):
    process = ReceiverProcess(tmp_path)
    yield process
    process.stop()


def kept(storage: Path, study: str = STUDY) -> dict[str, str]:
    """What index and spool hold: UID → digest of the data set, read from the files themselves."""
    index, spool = open_index(Storage(directory=storage)), Spool(storage / "spool")
    arrivals = study_arrivals(index, study)
    rows = [] if arrivals is None else snapshot(index, study, arrivals.revision)
    digests = {}
    for row in rows:
        content = spool.path(row.file).read_bytes()
        data = content[144 + int.from_bytes(content[140:144], "little") :]
        digests[row.sop_instance_uid] = hashlib.sha256(data).hexdigest()
        assert digests[row.sop_instance_uid] == row.sha256
    assert len(list(spool.placed())) == len(rows)
    spool.close()
    index.dispose()
    return digests


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Scanner(threading.Thread):
    """Sends instances one after the other, again where the receiver was lost, until all are in."""

    def __init__(self, receiver: ReceiverProcess, instances: list[tuple[str, bytes]]) -> None:
        super().__init__(daemon=True)
        self.receiver = receiver
        self.waiting = list(instances)
        self.acknowledged: dict[str, str] = {}
        self.lost_answers = 0

    def run(self) -> None:
        while self.waiting:
            try:
                with RawSender(self.receiver.port, timeout_s=20) as sender:
                    while self.waiting:
                        uid, data = self.waiting[0]
                        if sender.store(uid, data) == SUCCESS:
                            self.acknowledged[uid] = digest(data)
                            self.waiting.pop(0)
            except LostError:
                self.lost_answers += 1
                time.sleep(0.02)


def so_far(scanners: list[Scanner]) -> dict[str, str]:
    """What was acknowledged until now: UID → digest."""
    return {k: v for scanner in scanners for k, v in scanner.acknowledged.copy().items()}


def test_200_instances_killed_in_the_middle_and_the_rest_sent_are_all_there_once(receiver):
    instances = [mr_data_set(STUDY, f"{STUDY}.1", number, 60_000) for number in range(200)]
    receiver.start()
    with RawSender(receiver.port) as sender:
        for uid, data in instances[:100]:
            assert sender.store(uid, data) == SUCCESS
        receiver.kill()
    assert kept(receiver.storage) == {uid: digest(data) for uid, data in instances[:100]}
    receiver.start()
    with RawSender(receiver.port) as sender:
        for uid, data in instances[90:]:  # some again: the sender cannot know
            assert sender.store(uid, data) == SUCCESS
        sender.release()
    assert kept(receiver.storage) == {uid: digest(data) for uid, data in instances}


def test_kill_9_at_50_random_moments_loses_no_acknowledged_instance(tmp_path):
    chance = random.Random(7)  # noqa: S311  the same moments in every run
    receiver = ForkedReceiver(tmp_path).start()
    scanners = [
        Scanner(
            receiver,
            [mr_data_set(STUDY, f"{STUDY}.{number}", n, 3000) for n in range(100 * KILLS)],
        )
        for number in range(1, 5)
    ]
    try:
        for scanner in scanners:
            scanner.start()
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.0, 0.2))
            receiver.kill()
            acknowledged = so_far(scanners)
            receiver.start()
            assert acknowledged.items() <= kept_while_running(receiver.storage).items()
        for scanner in scanners:
            del scanner.waiting[10:]
        for scanner in scanners:
            scanner.join(120)
            assert not scanner.waiting
    finally:
        receiver.stop()
    sent = so_far(scanners)
    assert kept(receiver.storage) == sent
    assert len(sent) >= 4 * 10
    assert sum(scanner.lost_answers for scanner in scanners) >= KILLS


def kept_while_running(storage: Path) -> dict[str, str]:
    """What the index says; the files are compared when nothing changes any more."""
    index = open_index(Storage(directory=storage))
    arrivals = study_arrivals(index, STUDY)
    rows = [] if arrivals is None else snapshot(index, STUDY, arrivals.revision)
    index.dispose()
    return {row.sop_instance_uid: row.sha256 for row in rows}


@pytest.fixture
def cut(receiver, power):
    """Run the receiver with only its flushed writes kept."""
    receiver.environment = power.environment
    return power


@pytest.mark.parametrize("answers", [1, 30, 90])
def test_a_power_cut_takes_nothing_that_was_acknowledged(receiver, cut, tmp_path, answers):
    instances = [mr_data_set(STUDY, f"{STUDY}.1", number, 20_000) for number in range(400)]
    receiver.start()
    scanners = [Scanner(receiver, instances[part::4]) for part in range(4)]
    for scanner in scanners:
        scanner.start()
    while len(so_far(scanners)) < answers:
        time.sleep(0.001)
    acknowledged = so_far(scanners)
    receiver.kill()
    for scanner in scanners:
        scanner.waiting.clear()
        scanner.join(30)
    disk = cut.disk_of(tmp_path)
    storage = Storage(directory=disk / "state")
    index, spool = open_index(storage), Spool.open(storage)
    recover(spool, index)
    spool.close()
    index.dispose()
    held = kept(storage.directory)
    assert acknowledged.items() <= held.items()
    assert held.items() <= {uid: digest(data) for uid, data in instances}.items()


def test_a_disk_that_is_really_full_refuses_and_keeps_what_it_took(tmp_path, own_disk):
    """On a filesystem of 3 MB of its own, without the watermark: the bare ENOSPC."""
    receiver = ReceiverProcess(tmp_path)
    receiver.prefix = own_disk(tmp_path / "state", 3)
    instances = [mr_data_set(STUDY, f"{STUDY}.1", number, 100_000) for number in range(60)]
    try:
        receiver.start()
        with RawSender(receiver.port) as sender:
            answers = [sender.store(uid, data) for uid, data in instances]
            assert set(answers) == {SUCCESS, 0xA700}
            sender.release()
        assert receiver.process is not None
        # The mount is seen only from inside.
        inside = Path(f"/proc/{receiver.process.pid}/root") / str(receiver.storage).lstrip("/")
        shutil.copytree(inside, tmp_path / "copy")
    finally:
        receiver.stop()
    taken = {
        uid: digest(data)
        for (uid, data), status in zip(instances, answers, strict=True)
        if status == SUCCESS
    }
    storage = Storage(directory=tmp_path / "copy")
    index, spool = open_index(storage), Spool.open(storage)
    recover(spool, index)
    spool.close()
    index.dispose()
    held = kept(storage.directory)
    assert taken.items() <= held.items()
    assert 5 < len(taken) < 40
