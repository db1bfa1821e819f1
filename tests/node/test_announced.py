"""Headers prove a whole rest and a whole stress, or they prove nothing."""

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from node.config import Analysis, Storage
from node.dicom_read.announced import announced_state
from node.index.arrivals import Arrival, record
from node.index.holdings import study_arrivals
from node.index.tables import open_index
from node.workflow.announced import Announcements
from pipeline.study import State
from tests.peers import image

SLICES, BEATS = 3, 40
STUDY = "1.2.3"


def perfusion(description="Perf stress", **changes):
    made = image(STUDY, "1.2.3.1", 1, of=SLICES)
    made.NumberOfTemporalPositions = BEATS
    made.SeriesDescription = description
    made.ImageType = ["ORIGINAL", "PRIMARY", "OTHER"]
    made.ImagePositionPatient = [0, 0, 0]
    made.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    made.PixelSpacing = [2, 2]
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    for keyword, value in changes.items():
        setattr(made, keyword, value)
    return made


@pytest.fixture
def state(tmp_path):
    """What the header of an image announces."""

    def read(made):
        made.save_as(tmp_path / "one.dcm", enforce_file_format=True)
        return announced_state(tmp_path / "one.dcm", Analysis())

    return read


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("Perf stress", State.STRESS),
        ("PERFUSION REST", State.REST),
        ("Perf", None),  # nothing says which
        ("Perf rest after stress", None),  # contradicting words
        ("cine stress", None),
        ("stress", None),  # nothing says that it is perfusion
        ("Perf AIF stress", None),  # for the input function alone
        ("Perf stress MOCO", None),  # a copy
    ],
)
def test_words_alone_decide_what_a_series_holds(state, description, expected):
    assert state(perfusion(description)) is expected


@pytest.mark.parametrize(
    "changes",
    [
        {"NumberOfTemporalPositions": None},
        {"ImagesInAcquisition": None},
        {"NumberOfTemporalPositions": 19},  # no first pass
        {"ImagesInAcquisition": 1},  # another slice may be a series of its own
        {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
    ],
)
def test_a_header_that_leaves_a_doubt_announces_nothing(state, changes):
    assert state(perfusion(**changes)) is None


def test_a_file_that_cannot_be_read_announces_nothing(tmp_path):
    (tmp_path / "one.dcm").write_bytes(b"nothing")
    assert announced_state(tmp_path / "one.dcm", Analysis()) is None


def test_a_header_that_breaks_the_reader_announces_nothing_and_says_nothing_of_itself(
    arriving, monkeypatch, caplog
):
    def break_down(*_):
        raise ValueError("MARKED^NAME")

    monkeypatch.setattr("node.workflow.announced.announced_state", break_down)
    announcements, study = arriving({"Perf stress": 120, "Perf rest": 120})
    assert announcements.prove_both(study) is False
    assert "cannot be read (ValueError)" in caplog.text
    assert "MARKED" not in caplog.text


@pytest.fixture
def arriving(tmp_path):
    """Let series arrive, of which each image announces three slices at forty beats."""
    index = open_index(Storage(directory=tmp_path))

    def arrive(received):
        for number, (description, images) in enumerate(received.items()):
            made = perfusion(description)
            made.save_as(tmp_path / "first.dcm", enforce_file_format=True)
            for place in range(images):
                uid = f"1.2.3.{number}.{place}"
                (tmp_path / f"{uid}.dcm").write_bytes((tmp_path / "first.dcm").read_bytes())
                record(
                    index,
                    [
                        Arrival(
                            sop_instance_uid=uid,
                            study_uid=STUDY,
                            series_uid=f"1.2.3.{number}",
                            sop_class_uid=str(made.SOPClassUID),
                            transfer_syntax_uid=ExplicitVRLittleEndian,
                            file=f"{uid}.dcm",
                            size_bytes=1,
                            sha256=uid,
                            modality="MR",
                            expected_images=SLICES * BEATS,
                            calling_ae="SCANNER",
                            received_s=1.0,
                        )
                    ],
                )
        return Announcements(index, tmp_path, Analysis()), study_arrivals(index, STUDY)

    yield arrive
    index.dispose()


@pytest.mark.parametrize(
    ("received", "proven"),
    [
        ({"Perf stress": 120, "Perf rest": 120}, True),
        ({"Perf stress": 120}, False),
        ({"Perf stress": 120, "Perf rest": 119}, False),
        ({"Perf stress": 121, "Perf rest": 120}, False),
        ({"Perf stress": 120, "Perf stress 2": 120}, False),
        ({"Perf stress": 120, "Perf": 120}, False),
    ],
)
def test_both_first_passes_must_be_whole_and_named(arriving, received, proven):
    announcements, study = arriving(received)
    assert announcements.prove_both(study) is proven
    assert announcements.prove_both(study) is proven  # from memory, too
