"""What is delivered may be deleted; what is not stays."""

from dataclasses import replace

import pytest

from node.cli import main
from node.config import Config, Destination
from node.dicom_write import read_earlier
from node.index.conflicts import conflicts
from node.index.holdings import known_files
from node.index.jobs import JobState
from node.index.ledger import DeliveryState
from node.index.retirement import quiet_studies
from node.index.tables import CONFLICT
from node.workflow.retention import why_kept
from tests.peers import study_of
from tests.shipping import KINDS

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket")


def is_there(kept) -> bool:
    whole = [file for file in kept.results.iterdir() if file.stat().st_size > 1024]
    return (len(kept.images), len(whole)) == (6, 3)


def test_a_delivered_study_goes_after_its_days_and_says_so(kept, tmp_path, capsys):
    for file in kept.results.glob("*.dcm"):
        file.write_bytes(file.read_bytes() + b"\0" * 4096)
    kept.deliver()
    before = read_earlier(kept.results)
    kept.days_pass(1.9)
    kept.sweep()
    assert is_there(kept)
    kept.days_pass(0.2)
    kept.sweep()
    assert kept.images == []
    assert known_files(kept.index) == set()
    assert read_earlier(kept.results).uids == before.uids  # enough to replace them one day
    assert all(file.stat().st_size < 1024 for file in kept.results.iterdir())
    trail = (tmp_path / "audit" / "audit.log").read_text()
    assert trail.count("DICOM Study Deleted") == 1
    assert kept.study in trail
    config = tmp_path / "config.yaml"
    config.write_text(f"storage: {{directory: {tmp_path}}}\n")
    assert main(["studies", "--config", str(config)]) == 0
    assert "deleted (analysed)" in capsys.readouterr().out
    assert main(["studies", "--config", str(config), "show", kept.study]) == 0
    assert "its 6 images were deleted after delivery" in capsys.readouterr().out


def test_by_default_nothing_is_ever_deleted(kept):
    assert Config().storage.delete_after_days is None
    kept.deliver()
    kept.days_pass(10_000)
    kept.sweep(kept.shipping.config)
    assert len(kept.images) == 6


def test_what_was_not_delivered_stays(kept):
    kept.days_pass(100)
    kept.sweep()
    assert len(kept.images) == 6


def test_a_conflict_kept_aside_keeps_the_study(kept):
    kept.deliver()
    other = study_of(6, seed="shipping")[0]
    other.InstanceNumber = 99
    assert kept.take(other) != 0
    with kept.index.begin() as connection:
        assert len(connection.execute(CONFLICT.select()).all()) == 1
    kept.days_pass(100)
    kept.sweep()
    assert len(kept.images) == 7


def test_a_conflict_with_an_image_that_names_another_study_keeps_the_study(kept):
    kept.deliver()
    other = study_of(6, seed="shipping")[0]
    other.StudyInstanceUID = "1.2.826.0.1.99"
    assert kept.take(other) != 0
    kept.days_pass(100)
    kept.sweep()
    assert len(kept.images) == 7
    assert [one.study_uid for one in conflicts(kept.index)] == ["1.2.826.0.1.99"]


def test_a_late_image_keeps_the_study(kept):
    kept.deliver()
    kept.days_pass(100)
    kept.take(study_of(7, seed="shipping")[6])
    kept.sweep()
    assert len(kept.images) == 7


PACS = {"pacs": Destination(name="pacs", ae_title="PACS", host="127.0.0.1", port=104)}


@pytest.mark.parametrize(
    ("state", "kind", "may_go"),
    [
        (DeliveryState.STORED, "pictures", True),
        (DeliveryState.SUPERSEDED, "pictures", True),
        (DeliveryState.HELD, "pictures", True),  # never needed
        (DeliveryState.HELD, "rejection", False),
        (DeliveryState.PENDING, "pictures", False),
        (DeliveryState.EXPIRED, "pictures", False),
        (DeliveryState.CANCELLED, "pictures", False),
        (DeliveryState.REFUSED, "pictures", False),
        (DeliveryState.STOOD_IN, "parametric-map", True),
    ],
)
def test_each_row_of_the_ledger_must_be_settled(kept, state, kind, may_go):
    kept.deliver()
    study = kept.candidate
    changed = replace(study.deliveries[0], state=state, kind=kind)
    rows = [row for row in study.deliveries if row.kind != kind]
    study = replace(study, deliveries=(changed, *rows))
    assert (why_kept(study, PACS) is None) is may_go


def test_what_is_to_be_confirmed_stays_until_it_is(begin):
    kept = begin(confirm="find")
    kept.deliver()
    asked = {"pacs": PACS["pacs"].model_copy(update={"confirm": "find"})}
    assert why_kept(kept.candidate, asked) == "mbf-mr to pacs: not confirmed"
    rows = tuple(replace(row, confirmation="confirmed") for row in kept.candidate.deliveries)
    assert why_kept(replace(kept.candidate, deliveries=rows), asked) is None


def test_without_a_destination_or_an_analysis_a_study_stays(kept):
    assert why_kept(kept.candidate, {}) is not None
    kept.deliver()
    failed = replace(kept.candidate.job, state=JobState.FAILED)
    assert why_kept(replace(kept.candidate, job=failed), PACS) == "it is not analysed"
    for verdict in ("analysed", "withheld"):
        unsent = replace(kept.candidate.job, verdict=verdict)
        assert why_kept(replace(kept.candidate, job=unsent, deliveries=()), PACS) == (
            "no destination has its results"
        )
    nothing = replace(kept.candidate.job, verdict="nothing")
    assert why_kept(replace(kept.candidate, job=nothing, deliveries=()), PACS) is None


def test_a_study_that_is_deleted_is_no_candidate_any_more(kept):
    kept.deliver()
    kept.days_pass(3)
    assert len(list(quiet_studies(kept.index, kept.now_s))) == 1
    kept.sweep()
    assert list(quiet_studies(kept.index, kept.now_s)) == []
    assert len(KINDS) == len(list(kept.results.iterdir()))
