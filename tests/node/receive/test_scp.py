"""The receiver as a peer sees it: what is taken, what is refused, and with which code."""

import logging
import subprocess
import warnings
from io import BytesIO

import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    CTImageStorage,
    EnhancedMRImageStorage,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    LegacyConvertedEnhancedMRImageStorage,
    MRImageStorage,
)
from pynetdicom import AE
from pynetdicom.sop_class import Verification

from node.index.holdings import snapshot, study_arrivals
from node.receive import room
from node.spool import Spool
from tests.receiving import files_of

STUDY = "1.2.826.0.1.1"


@pytest.fixture
def associate():
    """Associate with a receiver; everything is released at the end."""
    open_ones = []

    def call(scp, *contexts, calling="SCANNER", called="PERFUSION"):
        entity = AE(calling)
        for context in contexts or ((MRImageStorage, None),):
            entity.add_requested_context(*context)
        association = entity.associate("127.0.0.1", scp.port, ae_title=called)
        open_ones.append(association)
        return association

    yield call
    for association in open_ones:
        if association.is_established:
            association.release()


def stored_files(storage, index) -> list:
    spool = Spool.open(storage)
    study = study_arrivals(index, STUDY)
    return [] if study is None else [spool.path(row.file) for row in snapshot(index, STUDY, 99)]


def data_set_bytes(part10: bytes) -> bytes:
    """What comes after the file meta information."""
    stream = BytesIO(part10)
    dcmread(stream, stop_before_pixels=True, specific_tags=[], defer_size=0)
    length = int.from_bytes(part10[140:144], "little")
    return part10[144 + length :]


def test_success_means_that_the_bytes_are_in_the_spool_and_the_row_in_the_index(
    receiver, associate, storage, index, mr_instance
):
    association = associate(receiver())
    assert association.send_c_store(mr_instance(1)).Status == 0x0000
    (file,) = stored_files(storage, index)
    assert dcmread(file).InstanceNumber == 1


def test_a_study_sent_by_dcmtk_is_kept_bit_for_bit(
    receiver, storage, index, mr_instance, program, tmp_path
):
    scp = receiver()
    sent = set()
    (tmp_path / "out").mkdir()
    for number in range(1, 6):
        file = tmp_path / "out" / f"{number}.dcm"
        mr_instance(number).save_as(file, enforce_file_format=True)
        sent.add(data_set_bytes(file.read_bytes()))
    command = [program("dcmsend"), "-aec", "PERFUSION", "127.0.0.1", str(scp.port), "+sd"]
    subprocess.run([*command, tmp_path / "out"], check=True, timeout=60)
    kept = {data_set_bytes(file.read_bytes()) for file in stored_files(storage, index)}
    assert kept == sent


def test_a_compressed_image_is_kept_as_it_came(receiver, associate, storage, index, mr_instance):
    image = mr_instance(1)
    image.PixelData = encapsulate([b"\xff\x4f\xff\x51 not decoded here \xff\xd9"])
    image["PixelData"].is_undefined_length = True
    image.file_meta.TransferSyntaxUID = JPEG2000Lossless
    association = associate(receiver(), (MRImageStorage, JPEG2000Lossless))
    assert association.send_c_store(image).Status == 0x0000
    (file,) = stored_files(storage, index)
    kept = dcmread(file)
    assert kept.file_meta.TransferSyntaxUID == JPEG2000Lossless
    assert kept.PixelData == image.PixelData


def test_what_is_stored_names_no_patient_outside_the_file(
    receiver, associate, storage, mr_instance, caplog
):
    caplog.set_level(logging.DEBUG, logger="node")
    associate(receiver()).send_c_store(mr_instance(1))
    names = [str(path) for path in storage.directory.rglob("*")]
    database = (storage.directory / "index.sqlite-wal").read_bytes()
    assert not any("MARKED" in name or STUDY in name for name in names)
    assert b"MARKED" not in database
    assert "MARKED" not in caplog.text


def test_the_same_instance_again_is_acknowledged_and_kept_once(
    receiver, associate, storage, index, mr_instance
):
    association = associate(receiver())
    for _ in range(3):
        assert association.send_c_store(mr_instance(1)).Status == 0x0000
    assert len(stored_files(storage, index)) == 1
    assert len(files_of(storage.directory)) == 1


def test_other_bytes_under_a_known_uid_fail_loudly_and_change_nothing(
    receiver, associate, storage, index, mr_instance
):
    association = associate(receiver())
    assert association.send_c_store(mr_instance(1)).Status == 0x0000
    (file,) = stored_files(storage, index)
    before = file.read_bytes()
    assert association.send_c_store(mr_instance(1, Rows=8)).Status == 0xC111
    assert stored_files(storage, index) == [file]
    assert file.read_bytes() == before
    assert len(files_of(storage.directory)) == 2


def test_enhanced_and_legacy_converted_mr_are_accepted_and_ct_is_not(receiver, associate):
    association = associate(
        receiver(),
        (MRImageStorage, None),
        (EnhancedMRImageStorage, None),
        (LegacyConvertedEnhancedMRImageStorage, None),
        (CTImageStorage, None),
        (Verification, None),
    )
    assert {context.abstract_syntax for context in association.accepted_contexts} == {
        MRImageStorage,
        EnhancedMRImageStorage,
        LegacyConvertedEnhancedMRImageStorage,
        Verification,
    }
    (rejected,) = association.rejected_contexts
    assert rejected.result == 3  # PS3.8 table 9-18: abstract syntax not supported


def test_an_echo_is_answered(receiver, program):
    port = str(receiver().port)
    command = [program("echoscu"), "-aec", "PERFUSION", "127.0.0.1", port]
    subprocess.run(command, check=True, timeout=30)


@pytest.mark.parametrize(
    ("calling", "called", "diagnostic"),
    [
        ("SCANNER", "SOMEBODY", 7),  # PS3.8 table 9-21: called AE title not recognized
        ("STRANGER", "PERFUSION", 3),  # calling AE title not recognized
    ],
)
def test_a_wrong_title_is_rejected_with_its_reason(
    receiver, associate, calling, called, diagnostic
):
    scp = receiver(calling_ae_titles=("SCANNER",))
    association = associate(scp, calling=calling, called=called)
    assert association.is_rejected
    answer = association.acceptor.primitive
    assert (answer.result, answer.result_source, answer.diagnostic) == (1, 1, diagnostic)


def test_a_disk_that_fills_up_refuses_instances_and_then_associations(
    receiver, associate, storage, index, mr_instance, monkeypatch
):
    monkeypatch.setattr(room, "LOOK_AGAIN_S", 0.0)
    scp = receiver(minimum_free_bytes=1000)
    association = associate(scp)
    assert association.send_c_store(mr_instance(1)).Status == 0x0000
    monkeypatch.setattr(Spool, "free_bytes", lambda _: 999)
    assert association.send_c_store(mr_instance(2)).Status == 0xA700
    late = associate(scp)
    assert late.is_rejected
    answer = late.acceptor.primitive
    assert (answer.result, answer.result_source, answer.diagnostic) == (2, 3, 1)
    monkeypatch.undo()
    assert association.send_c_store(mr_instance(2)).Status == 0x0000
    assert len(stored_files(storage, index)) == 2


def test_a_vanished_spool_is_answered_as_out_of_resources(
    receiver, associate, storage, index, mr_instance, monkeypatch
):
    monkeypatch.setattr(room, "LOOK_AGAIN_S", 0.0)
    association = associate(receiver())
    (storage.directory / "spool").rename(storage.directory / "away")
    assert association.send_c_store(mr_instance(1)).Status == 0xA700
    assert stored_files(storage, index) == []


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"StudyInstanceUID": ""}, 0xC000),  # belongs to no study
        ({"SeriesInstanceUID": "../../etc"}, 0xC000),
    ],
)
def test_an_instance_that_belongs_to_nothing_is_refused(
    receiver, associate, storage, mr_instance, change, status
):
    image = mr_instance(1)
    with warnings.catch_warnings(action="ignore"):  # pydicom warns of the invalid UID
        for keyword, value in change.items():
            setattr(image, keyword, value)
    association = associate(receiver())
    assert association.send_c_store(image).Status == status
    assert files_of(storage.directory) == []


def test_implicit_little_endian_is_read_too(receiver, associate, storage, index, mr_instance):
    image = mr_instance(1)
    image.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    association = associate(receiver(), (MRImageStorage, ImplicitVRLittleEndian))
    assert association.send_c_store(image).Status == 0x0000
    assert len(stored_files(storage, index)) == 1


def test_who_sent_and_who_was_refused_stands_in_the_audit_trail(
    receiver, associate, storage, mr_instance
):
    scp = receiver(calling_ae_titles=("SCANNER",))
    association = associate(scp)
    association.send_c_store(mr_instance(1))
    association.release()
    associate(scp, calling="STRANGER")
    scp.stop()
    trail = (storage.directory / "audit" / "audit.log").read_text()
    assert trail.count('csd-code="110104"') == 1
    assert trail.count('csd-code="110113"') == 1
    assert STUDY in trail
    assert "MARKED" not in trail
