import json
import time

import pytest

from node.cli import main
from node.config import Storage
from node.index import entry, jobs, ledger
from node.index.arrivals import Arrival, record
from node.index.jobs import JobState, Place
from node.index.ledger import DeliveryState, Result
from node.index.tables import open_index

STUDY = "1.2.3"


def arrive(index, number, *, now_s=100.0, sender="SCANNER"):
    record(
        index,
        [
            Arrival(
                sop_instance_uid=f"1.2.3.{number}",
                study_uid=STUDY,
                series_uid="1.2.3.0",
                sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
                transfer_syntax_uid="1.2.840.10008.1.2.1",
                file=f"{number}.dcm",
                size_bytes=1,
                sha256=str(number),
                modality="MR",
                expected_images=None,
                calling_ae=sender,
                received_s=now_s,
            )
        ],
    )


@pytest.fixture
def node(tmp_path):
    """An index with one study of two images, and the command that looks at it."""
    index = open_index(Storage(directory=tmp_path / "state"))
    config = tmp_path / "config.yaml"
    config.write_text(f"storage: {{directory: {tmp_path / 'state'}}}\n")
    arrive(index, 1)
    arrive(index, 2)

    def studies(*words, code=0):
        assert main(["studies", "--config", str(config), *words]) == code

    yield index, studies
    index.dispose()


def fail(index, revision=1):
    jobs.freeze_and_add(index, STUDY, revision, 100.0)
    jobs.begin_job(index, Place(STUDY, revision, 0), 100.0)
    jobs.end_job(
        index,
        Place(STUDY, revision, 0),
        state=JobState.FAILED,
        verdict="",
        reason="no heart",
        now_s=101.0,
    )


@pytest.mark.parametrize("command", ["studies", "conflicts"])
def test_options_may_stand_before_the_action_and_after_it(tmp_path, capsys, command):
    config = tmp_path / "config.yaml"
    config.write_text(f"storage: {{directory: {tmp_path / 'state'}}}\n")
    options = ["--config", str(config), "--json"]
    said = []
    for words in ([*options, "list"], ["list", *options], [*options[:2], "list", options[2]]):
        assert main([command, *words]) == 0
        said.append(capsys.readouterr().out.strip())
    assert said == ["[]"] * 3
    assert (tmp_path / "state" / "index.sqlite").exists()


def test_an_empty_node_says_so(tmp_path, capsys):
    config = tmp_path / "config.yaml"
    config.write_text(f"storage: {{directory: {tmp_path / 'state'}}}\n")
    assert main(["studies", "--config", str(config)]) == 0
    assert capsys.readouterr().out == "no studies\n"


def test_a_study_is_followed_from_its_arrival_to_its_failure(node, capsys):
    index, studies = node
    studies("list")
    assert "2 images  revision 1  arriving" in capsys.readouterr().out
    fail(index)
    studies()
    assert "failed  NEEDS A PERSON" in capsys.readouterr().out
    studies("show", STUDY)
    assert "no heart" in capsys.readouterr().out


def test_a_study_that_is_still_arriving_says_what_it_waits_for(node, capsys):
    index, studies = node
    arrive(index, 3, now_s=time.time())
    studies("show", STUDY)
    said = capsys.readouterr().out
    assert "waits for series 1 of 1: 3 images" in said
    assert "if nothing more comes" in said
    studies("--json", "show", STUDY)
    assert len(json.loads(capsys.readouterr().out)["waits"]) == 3
    fail(index)
    studies("show", STUDY)
    assert "waits" not in capsys.readouterr().out


def test_what_failed_is_queued_again_under_a_new_attempt(node, capsys):
    index, studies = node
    fail(index)
    studies("retry", STUDY)
    job = jobs.find_job(index, STUDY, 1)
    assert (job.state, job.attempt) == (JobState.QUEUED, 1)
    studies("retry", STUDY, code=1)
    assert "nothing of this study has failed" in capsys.readouterr().err


def test_a_cancelled_job_is_no_longer_begun_nor_ended(node):
    index, studies = node
    jobs.freeze_and_add(index, STUDY, 1, 100.0)
    assert jobs.begin_job(index, Place(STUDY, 1, 0), 100.0)
    studies("cancel", STUDY)
    assert not jobs.begin_job(index, Place(STUDY, 1, 0), 101.0)
    assert not jobs.end_job(
        index, Place(STUDY, 1, 0), state=JobState.DONE, verdict="analysed", reason="", now_s=102.0
    )
    assert jobs.find_job(index, STUDY, 1).state is JobState.CANCELLED


def test_refused_deliveries_need_a_person_who_can_send_them_again(node, capsys):
    index, studies = node
    jobs.freeze_and_add(index, STUDY, 1, 100.0)
    made = Result(sop_instance_uid="2.25.1", sop_class_uid="1.2.3", kind="pictures", file="a/1.dcm")
    states = {"pacs": {"pictures": DeliveryState.PENDING}}
    entry.register(index, STUDY, 1, [made], first_states=states, now_s=100.0)
    (row,) = ledger.study_deliveries(index, STUDY)
    ledger.settle(
        index,
        row,
        state=DeliveryState.REFUSED,
        status=0xC000,
        reason="refused",
        next_try_s=0,
        now_s=101,
    )
    studies("--json", "list")
    (study,) = json.loads(capsys.readouterr().out)
    assert study["deliveries"] == {"pacs": {"refused": 1}}
    studies("retry", STUDY)
    assert "1 deliveries are tried again" in capsys.readouterr().out
    assert len(ledger.consignments(index)) == 1
    studies("cancel", STUDY)
    assert ledger.consignments(index) == ()


def test_a_study_that_is_not_here_is_an_error(node, capsys):
    _, studies = node
    studies("show", "9.9", code=1)
    assert "not in the node" in capsys.readouterr().err


def test_a_revision_of_nothing_but_own_results_is_recognised(node):
    index, _ = node
    jobs.freeze_and_add(index, STUDY, 1, 100.0)
    made = Result(sop_instance_uid="1.2.3.7", sop_class_uid="1.2.3", kind="mbf-mr", file="a/1.dcm")
    entry.register(index, STUDY, 1, [made], first_states={}, now_s=100.0)
    arrive(index, 7, sender="PACS")
    assert entry.brings_only_own_results(index, STUDY, 2)
    arrive(index, 8)
    assert not entry.brings_only_own_results(index, STUDY, 2)
    assert jobs.senders(index, STUDY, 2) == {"PACS", "SCANNER"}


def test_a_damaged_index_is_refused_with_advice(tmp_path, capsys):
    (tmp_path / "index.sqlite").write_bytes(b"no database at all" * 1000)
    config = tmp_path / "config.yaml"
    config.write_text(f"storage: {{directory: {tmp_path}}}\n")
    assert main(["studies", "--config", str(config)]) == 1
    assert "restore it from a backup" in capsys.readouterr().err
