"""One instance from its pieces to its file, at the sizes where the way into the file changes."""

import contextlib
import errno
import hashlib
import os
import threading
from pathlib import Path

import pytest

from node.errors import UnreadableInstanceError
from node.index.holdings import snapshot
from node.receive.draft import Draft
from node.receive.intake import Intake
from node.receive.part10 import read_file_header
from node.receive.recover import arrival_of, recover
from node.spool import BLOCK_BYTES, Spool
from tests.raw_sender import SUCCESS, mr_data_set
from tests.receiving import take

STUDY = "1.2.826.0.1.6"


@pytest.fixture
def intake(storage, index):
    spool = Spool.open(storage)
    taking = Intake(spool, index)
    yield taking
    taking.close()
    spool.close()


def keep(intake: Intake, draft: Draft, number: int, size_bytes: int, piece: int = 2**16) -> bytes:
    uid, data = mr_data_set(STUDY, f"{STUDY}.1", number, size_bytes)
    assert take(intake, uid, data, draft=draft, piece_bytes=piece) == SUCCESS
    return data


def is_whole(path: Path) -> bool:
    try:
        arrival_of(path, "")
    except UnreadableInstanceError:
        return False
    return True


def files(storage, index) -> list[bytes]:
    rows = snapshot(index, STUDY, 1)
    return [(storage.directory / "spool" / row.file).read_bytes() for row in rows]


@pytest.mark.parametrize("size", [1, 2, 3000, 4096, 87_000, 300_000, 8 * 2**20, 20 * 2**20])
def test_an_instance_of_any_size_is_kept_bit_for_bit_under_its_digest(intake, storage, index, size):
    data = keep(intake, Draft(), 1, size)
    (row,) = snapshot(index, STUDY, 1)
    with (storage.directory / "spool" / row.file).open("rb") as stream:
        assert read_file_header(stream).digest == hashlib.sha256(data).digest()
        assert stream.read() == data
    assert row.sha256 == hashlib.sha256(data).hexdigest()


def test_whoever_lists_the_spool_meanwhile_sees_no_torn_file(intake, storage):
    folder = storage.directory / "spool" / "instances"
    torn, whole, done = set(), set(), threading.Event()

    def look() -> None:
        for path in set(folder.glob("*/*.dcm")) - whole:
            with contextlib.suppress(FileNotFoundError):  # a long one is on its way under `.part`
                if path.stat().st_size > 0:
                    (whole if is_whole(path) else torn).add(path)

    def watch() -> None:
        while not done.is_set():
            look()

    watcher = threading.Thread(target=watch)
    watcher.start()
    draft = Draft()
    sizes = [90_000, 87_000, 700_000, 90_000] * 14 + [12 * 2**20] * 2
    for number, size in enumerate(sizes):
        keep(intake, draft, number, size, 2**18)
    done.set()
    watcher.join()
    look()
    assert not torn
    assert len(whole) == len(sizes)


def test_the_next_instance_has_nothing_of_the_one_before(intake, storage, index):
    draft = Draft()
    data = [keep(intake, draft, number, 50_000 - 777 * number, 9_999) for number in range(4)]
    data.append(keep(intake, draft, 5, 30 * 2**20, 2**18))
    data.append(keep(intake, draft, 6, 100))
    for content, sent in zip(files(storage, index), data, strict=True):
        assert content.endswith(sent)


def test_an_ordinary_file_has_full_blocks(intake, storage, index):
    for number in range(10):
        keep(intake, Draft(), number, 80_000 + 2 * number)
    assert {len(content) % BLOCK_BYTES for content in files(storage, index)} == {0}


@pytest.mark.parametrize("done", [0, 8192])
def test_a_filesystem_that_takes_nothing_or_not_all_directly_gets_it_the_other_way(
    intake, storage, index, monkeypatch, done
):
    write, asked = os.pwrite, []

    def grudging(descriptor, content, position):
        if not asked:
            asked.append(position)
            if not done:
                raise OSError(errno.EINVAL, "no direct writes here")
            return write(descriptor, content[:done], position)
        return write(descriptor, content, position)

    monkeypatch.setattr(os, "pwrite", grudging)
    data = keep(intake, Draft(), 1, 50_000)
    (content,) = files(storage, index)
    assert content.endswith(data)
    assert recover(Spool.open(storage), index).recorded == 0


def test_a_disk_that_refuses_leaves_nothing_behind(intake, storage, index, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "pwrite", refuse)
    with pytest.raises(AssertionError):
        keep(intake, Draft(), 1, 50_000)
    monkeypatch.undo()
    assert snapshot(index, STUDY, 1) == ()
    assert all(file.stat().st_size == 0 for file in Spool.open(storage).unfinished())
    assert list(Spool.open(storage).placed()) == []
