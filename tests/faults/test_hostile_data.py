"""Many studies at once, duplicates, conflicts, and malformed files: counted in, counted kept."""

import random
import tarfile
import threading
from collections import Counter

import pytest

from node.config import Storage
from node.index.holdings import open_studies, snapshot, study_arrivals
from node.index.tables import open_index
from node.spool import Spool
from tests.raw_sender import SUCCESS, RawSender, ReceiverProcess, mr_data_set

STUDIES, IMAGES, ASSOCIATIONS = 20, 15, 16
CONFLICT = 0xC111


@pytest.fixture
def receiver(tmp_path):
    process = ReceiverProcess(tmp_path).start()
    yield process
    process.stop()


@pytest.fixture
def index(receiver):
    engine = open_index(Storage(directory=receiver.storage))
    yield engine
    engine.dispose()


def test_20_studies_interleaved_over_16_associations_with_duplicates_and_conflicts(receiver, index):
    chance = random.Random(3)  # noqa: S311  the same order in every run
    true_ones = [
        (*mr_data_set(f"1.2.826.0.1.{study}", f"1.2.826.0.1.{study}.1", image), SUCCESS)
        for study in range(1, STUDIES + 1)
        for image in range(IMAGES)
    ]
    with RawSender(receiver.port) as sender:
        for uid, data, _ in true_ones[::3]:  # a third is there already when the rest comes
            assert sender.store(uid, data) == SUCCESS
        sender.release()
    false_ones = [
        (uid, mr_data_set(uid.rsplit(".", 2)[0], uid.rsplit(".", 1)[0], int(uid.rsplit(".", 1)[1]),
                          size_bytes=333)[1], CONFLICT)
        for uid, _, _ in true_ones[::9]
    ]  # fmt: skip
    work = true_ones * 2 + false_ones * 2
    chance.shuffle(work)
    answers: Counter[tuple[int, int]] = Counter()
    lock = threading.Lock()

    def send(part: list[tuple[str, bytes, int]]) -> None:
        with RawSender(receiver.port) as sender:
            for uid, data, expected in part:
                status = sender.store(uid, data)
                with lock:
                    answers[expected, status] += 1
            sender.release()

    threads = [
        threading.Thread(target=send, args=(work[start::ASSOCIATIONS],))
        for start in range(ASSOCIATIONS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {
        (SUCCESS, SUCCESS): 2 * len(true_ones),
        (CONFLICT, CONFLICT): 2 * len(false_ones),
    }
    studies = open_studies(index, 1e12)
    assert [sum(series.received for series in study.series) for study in studies] == [
        IMAGES
    ] * STUDIES
    spool = Spool(receiver.storage / "spool")
    held = {
        row.sop_instance_uid: spool.path(row.file).read_bytes()
        for study in studies
        for row in snapshot(index, study.study_uid, 1)
    }
    assert all(held[uid].endswith(data) for uid, data, _ in true_ones)
    assert len(list(spool.placed())) == len(true_ones) + len(false_ones)
    spool.close()


def data_set_of(content: bytes) -> bytes:
    """What a careless sender would send of a file: all after its meta information."""
    if content[128:132] == b"DICM" and content[132:136] == b"\2\0\0\0":
        return content[144 + int.from_bytes(content[140:144], "little") :]
    return content


def test_every_malformed_file_sent_by_c_store_is_answered_and_counted(receiver, index, shared_data):
    with tarfile.open(shared_data / "dicom-fuzz" / "corpus.tar.gz") as archive:
        files = [archive.extractfile(member) for member in archive if member.isfile()]
        contents = [file.read() for file in files if file is not None]
    assert len(contents) > 500
    good_uid, good = mr_data_set("1.2.826.0.2", "1.2.826.0.2.1", 1)
    answers: Counter[int] = Counter()
    with RawSender(receiver.port) as sender:
        for number, content in enumerate(contents):
            answers[sender.store(f"1.2.826.0.9.{number}", data_set_of(content))] += 1
        # Damaged in every place, and under its own name, so that some get far.
        for position in range(0, len(good), 7):
            damaged = good[:position] + b"\xff\x00\xff" + good[position + 3 :]
            answers[sender.store(good_uid, damaged)] += 1
        assert sender.store(*mr_data_set("1.2.826.0.2", "1.2.826.0.2.1", 2)) == SUCCESS
        sender.release()
    assert set(answers) <= {SUCCESS, CONFLICT, 0xA900, 0xC000}
    assert answers[0xC000] + answers[0xA900] > 500
    assert receiver.process.poll() is None
    kept = answers[SUCCESS] + answers[CONFLICT] + 1
    spool = Spool(receiver.storage / "spool")
    assert len(list(spool.placed())) <= kept  # the same damage twice is kept once
    assert all(file.stat().st_size == 0 for file in spool.unfinished())
    spool.close()
    study = study_arrivals(index, "1.2.826.0.2")
    assert study is not None
    assert not any("Markedname" in line or "MARKEDID" in line for line in receiver.log)
