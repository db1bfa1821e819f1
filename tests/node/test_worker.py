"""One round of the worker, with the engine replaced."""

import errno
import threading

import pytest

from node import worker
from node.config import Config


class Engine:
    """Has nothing under way."""

    def __init__(self, *_args, **_settings) -> None:
        pass

    def launch(self):
        pass

    def live(self):
        return {}

    def forget(self, *, older_than_s):
        pass


@pytest.fixture
def destination():
    return {"name": "pacs", "ae_title": "PACS", "host": "127.0.0.1", "port": 104}


def test_a_full_disk_for_rejection_notes_keeps_nothing_from_being_sent(
    tmp_path, monkeypatch, destination
):
    stop, driven = threading.Event(), []

    def no_room(*_args, **_settings):
        stop.set()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(worker, "Engine", Engine)
    monkeypatch.setattr(worker, "release_notes", no_room)
    monkeypatch.setattr(worker.Errand, "drive", lambda errand, *_: driven.append(errand.name))
    config = Config.model_validate(
        {"storage": {"directory": tmp_path}, "delivery": {"destinations": [destination]}}
    )
    worker.Worker(config).run(stop)
    assert driven == ["deliver", "confirm"]
