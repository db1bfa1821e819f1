"""All objects of an analysed study, at a PACS that knows everything and at such as know little."""

import os
from collections import Counter

import pytest
from pydicom import dcmread
from pydicom.uid import (
    ImplicitVRLittleEndian,
    MRImageStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from node.config import Config
from node.dicom_phantom import study_datasets
from node.index.ledger import DeliveryState, Result
from node.process import process_study
from pipeline.phantom import PhantomSettings, simulate
from pipeline.study import State
from tests.peers import Pacs
from tests.shipping import Shipping

SMALL = PhantomSettings(
    states=(State.REST, State.STRESS),
    n_slices=1,
    n_frames=50,
    matrix=96,
    motion_mm=0.0,
    contrast_to_noise=30.0,
    proton_density=True,
)
ALL = {"reference", "segmentation", "parametric-map", "mbf-mr", "report", "pictures", "motion"}


@pytest.fixture(scope="module")
def analysed(tmp_path_factory):
    """The results of a simulated study, through the whole analysis; they lie in one folder."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "study").mkdir()
    for number, dataset in enumerate(study_datasets(simulate(8, SMALL), "siemens")):
        dataset.save_as(folder / "study" / f"{number}.dcm", enforce_file_format=True)
    outcome = process_study(folder / "study", folder / "results", Config(), lambda _: None)
    assert {one.kind for one in outcome.objects} == ALL
    return [
        (
            one.file,
            Result(
                sop_instance_uid=one.sop_instance_uid,
                sop_class_uid=one.sop_class_uid,
                kind=one.kind,
                file=one.file.name,
            ),
        )
        for one in outcome.objects
    ]


@pytest.fixture
def deliver(tmp_path, analysed):
    """Deliver the study to a PACS until nothing waits; returns the shipping."""
    made = []

    def fill(folder):
        for file, _ in analysed:
            os.link(file, folder / file.name)
        return [result for _, result in analysed]

    def build(contexts=None, **rules):
        pacs = Pacs(contexts=contexts).start()
        pacs.datasets = {}

        def keep(event):
            assert event.context.transfer_syntax == ImplicitVRLittleEndian or contexts is None
            pacs.datasets[str(event.request.AffectedSOPInstanceUID)] = event.dataset
            return 0x0000

        pacs.answer = keep
        shipping = Shipping(tmp_path, pacs, fill, **rules)
        made.append(shipping)
        while shipping.attempt():
            pass
        return shipping

    yield build
    for shipping in made:
        shipping.pacs.stop()
        shipping.index.dispose()


def states(shipping):
    """Kind to the states of its deliveries."""
    found = {}
    for row in shipping.all_rows:
        found.setdefault(row.kind, Counter())[row.state] += 1
    return found


def stored_once(shipping, kinds, analysed):
    expected = {result.sop_instance_uid for _, result in analysed if result.kind in kinds}
    return dict(shipping.pacs.stored) == dict.fromkeys(expected, 1)


def test_a_pacs_that_knows_everything_gets_everything_once(deliver, analysed):
    shipping = deliver()
    assert {state for kind in states(shipping).values() for state in kind} == {DeliveryState.STORED}
    assert stored_once(shipping, ALL, analysed)


def test_a_pacs_that_knows_mr_and_pictures_gets_all_it_can_show(deliver, analysed):
    shipping = deliver([MRImageStorage, SecondaryCaptureImageStorage])
    found = states(shipping)
    for kind in ("parametric-map", "segmentation", "report"):
        assert set(found[kind]) == {DeliveryState.STOOD_IN}, kind
    assert stored_once(shipping, {"reference", "mbf-mr", "motion", "pictures"}, analysed)


def test_what_it_stores_in_its_own_syntax_is_what_was_made(deliver, analysed):
    shipping = deliver([MRImageStorage, SecondaryCaptureImageStorage])
    files = {result.sop_instance_uid: file for file, result in analysed}
    assert shipping.pacs.datasets
    for uid, came in shipping.pacs.datasets.items():
        made = dcmread(files[uid])
        made["PixelData"].VR = "OW"  # in Implicit VR always (PS3.5 A.1)
        assert came == made


@pytest.mark.parametrize(
    ("contexts", "wanted", "kinds", "asks_a_person"),
    [
        ([MRImageStorage, SecondaryCaptureImageStorage], ["parametric-map"], {"mbf-mr"}, False),
        ([SecondaryCaptureImageStorage], ["parametric-map"], {"pictures"}, False),
        ([SecondaryCaptureImageStorage], ["segmentation", "report"], {"pictures"}, False),
        (
            [ParametricMapStorage, SegmentationStorage],
            ["parametric-map"],
            {"parametric-map"},
            False,
        ),
        ([MRImageStorage], ["reference", "report"], {"reference"}, True),
    ],
)
def test_the_ladder_leads_to_the_first_rung_that_holds(
    deliver, analysed, contexts, wanted, kinds, asks_a_person
):
    shipping = deliver(contexts, objects=wanted)
    assert stored_once(shipping, kinds, analysed)
    left = {row.state for row in shipping.all_rows}
    assert DeliveryState.PENDING not in left
    assert (DeliveryState.REFUSED in left) is asks_a_person
