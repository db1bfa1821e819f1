"""Two images under one UID: a person sees both and settles which is used."""

import json

import pytest

from node.cli import main
from node.config import Storage
from node.index.conflicts import conflicts
from node.index.holdings import snapshot, study_arrivals
from node.index.jobs import freeze_and_add
from node.index.tables import open_index
from node.receive.intake import Intake
from node.receive.recover import recover
from node.spool import Spool
from tests.raw_sender import mr_data_set
from tests.receiving import take

STUDY = "1.2.826.0.1.9"


class Bench:
    """A node's index and spool, an intake, and the command."""

    def __init__(self, folder) -> None:
        storage = Storage(directory=folder / "state")
        self.index, self.spool = open_index(storage), Spool.open(storage)
        self.intake = Intake(self.spool, self.index)
        self._config = folder / "config.yaml"
        self._config.write_text(f"storage: {{directory: {storage.directory}}}\n")

    def send(self, size, *, study=STUDY, sender="SCANNER"):
        uid, data = mr_data_set(study, f"{STUDY}.1", 1, size)
        return take(self.intake, uid, data, calling_ae=sender)

    def used(self, revision=9):
        """Sizes of the images that an analysis would get."""
        rows = snapshot(self.index, STUDY, revision)
        return [self.spool.path(row.file).stat().st_size // 4096 for row in rows]

    def run(self, *words, code=0, command="conflicts"):
        assert main([command, "--config", str(self._config), *words]) == code


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path)
    assert made.send(1000) == 0
    assert made.send(9000, sender="OTHER") == 0xC111
    yield made
    made.intake.close()
    made.spool.close()
    made.index.dispose()


def test_the_list_names_both_files_and_both_senders(bench, capsys):
    bench.run()
    told = capsys.readouterr().out
    (one,) = conflicts(bench.index)
    for word in (one.file, one.used_file, "SCANNER", "OTHER", STUDY, f"{STUDY}.1.1"):
        assert word in told
    bench.run("--json", "list")
    assert json.loads(capsys.readouterr().out)[0]["file"] == one.file
    bench.run(command="studies")
    assert "1 CONFLICTS" in capsys.readouterr().out


def test_the_same_other_bytes_are_kept_aside_once(bench):
    assert bench.send(9000) == 0xC111
    assert bench.send(1000) == 0
    assert len(conflicts(bench.index)) == 1
    assert len(list(bench.spool.placed())) == 2


def test_dropped_it_is_gone_and_the_first_stays(bench, capsys):
    (one,) = conflicts(bench.index)
    bench.run("drop", one.file)
    bench.run()
    assert "no conflicts" in capsys.readouterr().out
    assert list(bench.spool.placed()) == [one.used_file]
    assert bench.used() == [1]


def test_exchanged_it_is_used_in_a_new_revision_and_back_again(bench):
    freeze_and_add(bench.index, STUDY, 1, now_s=0.0)
    (before,) = conflicts(bench.index)
    bench.run("exchange", before.file)
    assert bench.used() == [3]
    study = study_arrivals(bench.index, STUDY)
    assert study.revision > study.frozen
    (after,) = conflicts(bench.index)
    assert (after.file, after.used_file) == (before.used_file, before.file)
    assert (after.calling_ae, after.used_calling_ae) == ("SCANNER", "OTHER")
    bench.run("exchange", after.file)
    assert bench.used() == [1]
    assert recover(bench.spool, bench.index).recorded == 0


def test_an_image_of_another_study_cannot_take_the_place(bench, capsys):
    assert bench.send(20_000, study="1.2.826.0.1.10") == 0xC111
    stranger = conflicts(bench.index)[-1]
    bench.run("exchange", stranger.file, code=1)
    assert "different studies" in capsys.readouterr().err
    assert bench.used() == [1]
    assert study_arrivals(bench.index, "1.2.826.0.1.10") is None


def test_what_is_not_kept_aside_is_not_touched(bench, capsys):
    (one,) = conflicts(bench.index)
    bench.run("drop", one.used_file, code=1)
    assert "no such file" in capsys.readouterr().err
    assert len(list(bench.spool.placed())) == 2
