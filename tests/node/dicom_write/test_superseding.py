"""Later results replace earlier ones so that nobody can take the old ones for the new."""

import subprocess
from dataclasses import replace

import pytest
from pydicom import dcmread
from pydicom.uid import ComprehensiveSRStorage, KeyObjectSelectionDocumentStorage

from node.config import Results
from node.dicom_read import SetAside
from node.dicom_write import (
    encode_not_analysed,
    encode_results,
    make_replacing,
    read_earlier,
    write_results,
)


def later(case, what="series 4"):
    """The same study after images came that are left alone: images and maps stay as they were."""
    late = SetAside(what=what, reason="It came late.", files=())
    return replace(case, read=replace(case.read, set_aside=(late,)))


def corrected(case):
    """The same study after a corrected series came: everything is new."""
    return replace(case, version="0.1.1")


def encode(case, earlier=()):
    def make(replacing):
        return encode_results(
            case.result,
            case.read,
            case.config,
            version=case.version,
            settings=case.settings,
            replacing=replacing,
        )

    return make_replacing(make, earlier)


@pytest.fixture
def kept(tmp_path):
    """Keep results as the node does, and read them back as what is to be replaced."""

    def keep(revision, objects):
        folder = tmp_path / f"revision-{revision}"
        write_results(objects, folder)
        return read_earlier(folder)

    return keep


@pytest.fixture
def short(case):
    """Without the objects that take long."""
    return case.only("mbf-mr", "segmentation", "reference", "report")


def uids(objects):
    return {str(one.SOPInstanceUID) for one in objects}


def notes(objects):
    return [one for one in objects if one.SOPClassUID == KeyObjectSelectionDocumentStorage]


def rejected_by(note):
    in_content = {
        str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for item in note.ContentSequence
        if "ReferencedSOPSequence" in item
    }
    in_evidence = {
        str(reference.ReferencedSOPInstanceUID)
        for study in note.CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for reference in series.ReferencedSOPSequence
    }
    assert in_content == in_evidence
    return in_content


def report_of(objects):
    [found] = [one for one in objects if one.SOPClassUID == ComprehensiveSRStorage]
    return found


def test_first_results_replace_nothing(short):
    first = encode(short)
    assert notes(first) == []
    assert "PredecessorDocumentsSequence" not in report_of(first)


def test_what_stands_in_the_pacs_after_any_number_of_revisions_is_the_newest_set(short, kept):
    revisions = [short, later(short), corrected(short), later(corrected(short), "series 5")]
    stored, rejected, earlier = set(), set(), []
    for number, case in enumerate(revisions, start=1):
        made = encode(case, earlier)
        current = uids(made) - uids(notes(made))
        stored |= current
        for note in notes(made):
            assert not rejected & rejected_by(note), "rejected twice"
            rejected |= rejected_by(note)
        assert stored - rejected == current
        earlier.append(kept(number, made))


def test_only_what_changed_is_rejected(short, kept):
    first = encode(short)
    second = encode(later(short), [kept(1, first)])
    [note] = notes(second)
    assert rejected_by(note) == {str(report_of(first).SOPInstanceUID)}
    assert uids(first) - rejected_by(note) <= uids(second)


def test_a_revision_that_changes_nothing_makes_the_same_objects_again(short, kept):
    first = encode(short)
    assert uids(encode(short, [kept(1, first)])) == uids(first)
    second = encode(later(short), [kept(1, first)])
    third = encode(later(short), [kept(1, first), kept(2, second)])
    assert uids(third) == uids(second)


def test_an_object_that_was_rejected_never_comes_back_under_its_identifier(short, kept):
    first = encode(short)
    second = encode(corrected(short), [kept(1, first)])
    third = encode(short, [kept(1, first), kept(2, second)])
    assert not uids(third) & (uids(first) | uids(second))


def test_the_report_names_the_report_that_it_replaces(short, kept):
    first = encode(short)
    second = report_of(encode(corrected(short), [kept(1, first)]))
    [item] = second.PredecessorDocumentsSequence
    [series] = item.ReferencedSeriesSequence
    [reference] = series.ReferencedSOPSequence
    assert item.StudyInstanceUID == second.StudyInstanceUID
    assert series.SeriesInstanceUID == report_of(first).SeriesInstanceUID
    assert reference.ReferencedSOPInstanceUID == report_of(first).SOPInstanceUID
    assert reference.PurposeOfReferenceCodeSequence[0].CodeValue == "121360"
    words = [element.value for element in second.iterall() if element.keyword == "TextValue"]
    assert any("replace those of revision 1" in text for text in words)


def test_a_pacs_without_notes_gets_the_statement_alone(short, kept):
    quiet = replace(
        corrected(short), config=Results(objects=short.config.objects, superseding="statement")
    )
    second = encode(quiet, [kept(1, encode(short))])
    assert notes(second) == []
    assert "PredecessorDocumentsSequence" in report_of(second)


def test_how_it_is_said_changes_no_image(short):
    quiet = replace(short, config=Results(objects=short.config.objects, superseding="statement"))
    assert uids(encode(quiet)) == uids(encode(short))


def test_numbers_replace_the_page_that_said_why_there_were_none(short, kept):
    header = short.read.sources[0].slices[0].header()

    def make(replacing):
        return encode_not_analysed(
            header,
            ["series 1: It is a localizer."],
            instances=["1.2.3"],
            version="0.1.0",
            settings="",
            series_number_base=9000,
            replacing=replacing,
        )

    page = make_replacing(make, [])
    [note] = notes(encode(short, [kept(1, page)]))
    assert rejected_by(note) == uids(page)
    lost = make_replacing(make, [kept(2, encode(short))])
    [note] = notes(lost)
    assert len(rejected_by(note)) == len(encode(short))


def test_note_and_report_pass_dciodvfy(short, kept, verify, tmp_path):
    second = encode(corrected(short), [kept(1, encode(short))])
    [note] = notes(second)
    assert verify(note) == []
    assert verify(report_of(second)) == []
    assert dcmread(tmp_path / "object.dcm").SOPInstanceUID == report_of(second).SOPInstanceUID


def test_dcmtk_reads_the_note(short, kept, program, tmp_path):
    [note] = notes(encode(corrected(short), [kept(1, encode(short))]))
    note.save_as(tmp_path / "note.dcm", enforce_file_format=True)
    said = subprocess.run(
        [program("dsrdump"), tmp_path / "note.dcm"], capture_output=True, check=True
    )
    words = said.stdout.decode("latin-1")
    assert "Rejected for Quality Reasons" in words
    assert words.count("contains IMAGE") + words.count("contains COMPOSITE") == len(
        rejected_by(note)
    )


def test_the_note_says_what_it_is(short, kept):
    [note] = notes(encode(corrected(short), [kept(1, encode(short))]))
    title = note.ConceptNameCodeSequence[0]
    assert (title.CodeValue, title.CodingSchemeDesignator) == ("113001", "DCM")
    assert note.Modality == "KO"
    assert note.ContentTemplateSequence[0].TemplateIdentifier == "2010"
    assert note.StudyInstanceUID == "1.2.3.4"
    assert note.PatientID == "P-001"
