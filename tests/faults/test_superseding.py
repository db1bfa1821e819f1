"""Results are replaced at each destination in such an order that one set always speaks there."""

import io

import pytest
from pydicom import dcmread
from pydicom.uid import KeyObjectSelectionDocumentStorage, MRImageStorage, ParametricMapStorage

from node.deliver.rejection import release_notes
from node.index import entry, ledger
from node.index.ledger import DeliveryState, Result
from node.representation import first_states
from tests.end_to_end.analysis import OBJECTS, notes, result
from tests.peers import Node, Pacs, send, study_of, wait_for
from tests.shipping import KINDS, Shipping

# pynetdicom leaves the socket of a refused connection to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:Exception ignored in. <socket.socket")


class Study:
    """A study whose results are made again, and the PACS that hears about it."""

    def __init__(self, folder, pacs, **rules) -> None:
        self.shipping = Shipping(folder, pacs, **rules)
        self.results = folder / "results"
        self.pacs = pacs
        self.rejected = set()
        pacs.answer = self.answer
        self.says = lambda _: 0x0000

    def answer(self, event):
        status = self.says(event)
        if status == 0 and event.request.AffectedSOPClassUID == KeyObjectSelectionDocumentStorage:
            now = rejected_by(event.dataset)
            assert now <= set(self.pacs.stored), "rejects what is not there"
            assert not now & self.rejected, "rejects twice"
            self.rejected |= now
        return status

    def revise(self, revision):
        """Make results of more images, as the worker does; returns their UIDs."""
        images = study_of(2 + revision, seed="shipping")
        uids = [str(one.SOPInstanceUID) for one in images]
        made = {kind: result(images[0], uids, kind, sop_class) for kind, sop_class in OBJECTS}
        folder = self.results / f"revision-{revision}"
        folder.mkdir()
        earlier = self.results / ("a" if revision == 2 else f"revision-{revision - 1}")
        (made["rejection"],) = notes(images[0], uids, earlier, made)
        for kind, dataset in made.items():
            dataset.save_as(folder / f"{kind}.dcm", enforce_file_format=True)
        wanted = self.shipping.config.delivery.destinations[0].objects
        assert entry.register(
            self.shipping.index,
            self.shipping.study,
            revision,
            [
                Result(
                    sop_instance_uid=str(dataset.SOPInstanceUID),
                    sop_class_uid=str(dataset.SOPClassUID),
                    kind=kind,
                    file=f"{folder.name}/{kind}.dcm",
                )
                for kind, dataset in made.items()
            ],
            first_states={"pacs": first_states(KINDS, wanted)},
            now_s=self.shipping.now_s,
        )
        return {str(made[kind].SOPInstanceUID) for kind in KINDS}

    def release(self, *, confirmed_at=()):
        release_notes(
            self.shipping.index,
            self.results,
            confirmed_at=confirmed_at,
            now_s=self.shipping.now_s,
        )

    def deliver(self):
        """Send until nothing waits, letting the notes go when their time has come."""
        for _ in range(20):
            self.release()
            waiting = ledger.consignments(self.shipping.index)
            if not waiting:
                return
            for consignment in waiting:
                self.shipping.now_s = max(self.shipping.now_s, consignment.next_try_s)
                ledger.claim(self.shipping.index, consignment, not_before_s=self.shipping.now_s)
                self.shipping.deliverer.attempt(consignment)
        raise AssertionError("something waits for ever")

    @property
    def visible(self):
        kept = {
            uid
            for uid in self.pacs.stored
            if self.pacs.classes[uid] != KeyObjectSelectionDocumentStorage
        }
        return kept - self.rejected

    def note(self, revision):
        [row] = [
            row
            for row in ledger.study_deliveries(self.shipping.index, self.shipping.study)
            if row.kind == "rejection" and row.revision == revision
        ]
        return row


def rejected_by(dataset):
    return {
        str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for item in dataset.ContentSequence
        if "ReferencedSOPSequence" in item
    }


@pytest.fixture
def begin(tmp_path):
    made = []

    def build(**rules):
        made.append(Study(tmp_path, Pacs().start(), **rules))
        return made[-1]

    yield build
    for study in made:
        study.pacs.stop()
        study.shipping.index.dispose()


def test_after_three_revisions_only_the_newest_results_stand(begin):
    study = begin()
    study.deliver()
    for revision in (2, 3):
        newest = study.revise(revision)
        study.deliver()
        assert study.visible == newest


def test_old_results_are_not_rejected_before_the_new_ones_are_there(begin):
    study = begin()
    study.deliver()
    old = study.visible
    newest = study.revise(2)
    study.says = lambda _: 0xA700
    for _ in range(3):
        study.release()
        assert study.shipping.attempt()
    assert study.visible == old
    assert study.note(2).state is DeliveryState.HELD
    study.says = lambda _: 0x0000
    study.deliver()
    assert study.visible == newest


def test_a_pacs_that_refuses_the_new_results_keeps_the_old_ones(begin):
    study = begin()
    study.deliver()
    old = study.visible
    study.revise(2)
    study.says = lambda _: 0xC000
    study.deliver()
    assert study.visible == old
    assert study.note(2).state is DeliveryState.HELD


def test_a_note_names_only_what_the_pacs_has(begin):
    study = begin()
    study.says = lambda event: (
        0xC000 if event.request.AffectedSOPClassUID == ParametricMapStorage else 0x0000
    )
    study.deliver()
    newest = study.revise(2)
    study.says = lambda _: 0x0000
    study.deliver()
    assert len(study.rejected) == 2
    assert study.visible == newest


def test_a_pacs_that_never_had_the_old_results_gets_no_note(begin):
    study = begin()
    study.pacs.stop()
    study.shipping.attempt()
    newest = study.revise(2)
    study.pacs.start()
    study.deliver()
    assert study.note(2).state is DeliveryState.SUPERSEDED
    assert set(study.pacs.stored) == newest


def test_what_may_have_arrived_without_an_answer_is_rejected_too(begin):
    study = begin()

    def take_and_abort(event):
        if event.request.AffectedSOPClassUID == MRImageStorage:
            event.assoc.abort()
        return 0x0000

    study.says = take_and_abort
    study.shipping.attempt()
    study.says = lambda _: 0x0000
    newest = study.revise(2)
    study.deliver()
    assert study.visible == newest


def test_a_note_that_waits_survives_the_next_revision(begin):
    study = begin()
    study.deliver()
    study.revise(2)
    while study.note(2).state is DeliveryState.HELD:
        study.release()
        study.shipping.attempt()
    study.pacs.stop()
    study.shipping.attempt()
    newest = study.revise(3)
    study.pacs.start()
    study.deliver()
    assert study.visible == newest


def test_the_note_waits_until_the_new_results_are_confirmed(begin):
    study = begin(confirm="find")
    study.deliver()
    study.revise(2)
    while ledger.consignments(study.shipping.index):
        study.shipping.attempt()
    study.release(confirmed_at=["pacs"])
    assert study.note(2).state is DeliveryState.HELD


def test_a_note_whose_file_is_gone_is_said_and_stops_nobody(begin):
    study = begin()
    study.deliver()
    study.revise(2)
    (study.results / "revision-2" / "rejection.dcm").unlink()
    study.deliver()
    assert study.note(2).state is DeliveryState.REFUSED
    assert "gone" in study.note(2).reason
    assert len(study.pacs.stored) == 6


def test_a_destination_that_wants_nothing_of_the_new_results_hears_that_the_old_ones_are_void(
    begin,
):
    study = begin()
    study.deliver()
    entry.register(
        study.shipping.index,
        study.shipping.study,
        2,
        [only_note(study)],
        first_states={},
        now_s=study.shipping.now_s,
    )
    study.deliver()
    assert study.visible == set()


def only_note(study) -> Result:
    images = study_of(9, seed="shipping")
    (dataset,) = notes(images[0], ["1.2"], study.results / "a", {})
    dataset.save_as(study.results / "a" / "rejection.dcm", enforce_file_format=True)
    return Result(
        sop_instance_uid=str(dataset.SOPInstanceUID),
        sop_class_uid=str(dataset.SOPClassUID),
        kind="rejection",
        file="a/rejection.dcm",
    )


@pytest.mark.peer
def test_orthanc_holds_one_set_that_is_not_rejected_after_late_images_came_twice(
    tmp_path, own_orthanc
):
    orthanc = own_orthanc()
    node = Node(
        tmp_path,
        completion={"series_quiet_s": 0.5, "study_quiet_s": 1.0},
        delivery={
            "destinations": [
                {
                    "name": "orthanc",
                    "ae_title": orthanc.ae_title,
                    "host": orthanc.host,
                    "port": orthanc.dicom_port,
                }
            ],
            "first_retry_s": 0.5,
        },
    )
    node.start().wait_until_ready()
    images = study_of(12, seed="late")
    try:
        for came in (4, 8, 12):
            send(node.port, images[came - 4 : came])
            newest = f"{came} images"
            wait_for(lambda newest=newest: standing(orthanc) == {newest: 3}, newest)
        assert len(orthanc.files()) == 11  # three sets of three, two notes
    finally:
        node.stop()


def standing(orthanc) -> dict[str, int]:
    """Of which set how many objects are stored and not rejected."""
    stored = [dcmread(io.BytesIO(content)) for content in orthanc.files().values()]
    notes = [one for one in stored if one.SOPClassUID == KeyObjectSelectionDocumentStorage]
    rejected = set().union(*map(rejected_by, notes))
    sets = {}
    for one in stored:
        if one not in notes and one.SOPInstanceUID not in rejected:
            sets[one.ImageComments] = sets.get(one.ImageComments, 0) + 1
    return sets
