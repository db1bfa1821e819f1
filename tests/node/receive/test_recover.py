"""What a start makes of what the last end left behind."""

import hashlib

import pytest

from node.config import Storage
from node.errors import SpoolError
from node.index.holdings import snapshot, study_arrivals
from node.index.tables import open_index
from node.receive.intake import Intake
from node.receive.part10 import Meta, file_header, read_file_header
from node.receive.recover import recover
from node.spool import Spool
from tests.raw_sender import SUCCESS
from tests.receiving import encoded, take


@pytest.fixture
def keep(spool, index, mr_instance):
    """Keep one instance the usual way; return its data set."""

    def call(number: int) -> bytes:
        image = mr_instance(number)
        data = encoded(image)
        intake = Intake(spool, index)
        assert take(intake, image.SOPInstanceUID, data) == SUCCESS
        intake.close()
        return data

    return call


def forget(index) -> list:
    """Delete the rows, as if the process had died before they were committed."""
    rows = snapshot(index, "1.2.826.0.1.1", 99)
    with index.begin() as connection:
        connection.exec_driver_sql("DELETE FROM instance")
        connection.exec_driver_sql("DELETE FROM study")
    return list(rows)


def test_a_whole_file_without_a_row_is_recorded_as_it_would_have_been(spool, index, keep):
    keep(1)
    keep(2)
    before = forget(index)
    found = recover(spool, index)
    assert (found.recorded, found.unreadable, found.missing) == (2, 0, 0)
    assert list(snapshot(index, "1.2.826.0.1.1", 1)) == before


def test_a_lost_index_is_made_again_from_the_spool(spool, index, keep, tmp_path):
    for number in range(1, 6):
        keep(number)
    before = snapshot(index, "1.2.826.0.1.1", 1)
    empty = open_index(Storage(directory=tmp_path / "restored"))
    assert recover(spool, empty).recorded == 5
    assert snapshot(empty, "1.2.826.0.1.1", 1) == before
    empty.dispose()


def test_a_power_cut_between_row_and_new_name_is_mended_under_the_same_name(spool, index, keep):
    keep(1)
    before = snapshot(index, "1.2.826.0.1.1", 1)
    file = spool.path(before[0].file)
    file.rename(file.with_suffix(".part"))  # as the disk may show it
    found = recover(spool, index)
    assert (found.recorded, found.missing, found.removed_parts) == (0, 0, 0)
    assert snapshot(index, "1.2.826.0.1.1", 1) == before
    assert file.exists()


def test_a_whole_file_that_was_never_named_is_recorded(spool, index, keep):
    keep(1)
    file = spool.path(forget(index)[0].file)
    file.rename(file.with_suffix(".part"))
    assert recover(spool, index).recorded == 1
    assert len(snapshot(index, "1.2.826.0.1.1", 1)) == 1


def test_a_file_with_one_wrong_bit_is_not_taken_for_whole(spool, index, keep):
    keep(1)
    file = spool.path(forget(index)[0].file)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))
    assert recover(spool, index).unreadable == 1
    assert snapshot(index, "1.2.826.0.1.1", 1) == ()


def test_an_unfinished_file_is_removed(spool, index, keep):
    keep(1)
    torn = spool.begin()
    torn.append(b"half of it")
    assert recover(spool, index).removed_parts == 1
    assert list(spool.unfinished()) == []
    assert len(list(spool.placed())) == 1


def test_files_that_waited_for_an_instance_go_without_a_word(storage, spool, index, keep):
    keep(1)
    assert any(spool.unfinished())
    found = recover(Spool.open(storage), index)
    assert (found.removed_parts, found.recorded, found.unreadable) == (0, 0, 0)
    assert list(spool.unfinished()) == []
    assert len(list(spool.placed())) == 1


def test_a_second_file_of_a_recorded_instance_goes(spool, index, keep):
    keep(1)
    forget(index)
    keep(1)
    assert len(list(spool.placed())) == 2
    recover(spool, index)
    assert len(list(spool.placed())) == 1
    study = study_arrivals(index, "1.2.826.0.1.1")
    assert study is not None
    assert study.series[0].received == 1


def test_a_row_whose_file_is_gone_is_reported_and_kept(spool, index, keep, caplog):
    keep(1)
    keep(2)
    spool.drop(snapshot(index, "1.2.826.0.1.1", 1)[0].file)
    assert recover(spool, index).missing == 1
    assert "1 files of the index are missing" in caplog.text
    assert len(snapshot(index, "1.2.826.0.1.1", 1)) == 2


def test_an_empty_spool_under_a_full_index_is_no_fresh_start(index, keep, storage):
    keep(1)
    (storage.directory / "spool").rename(storage.directory / "unmounted")
    empty = Spool.open(storage)
    with pytest.raises(SpoolError, match="mounted"):
        recover(empty, index)
    empty.close()


def test_two_receivers_cannot_share_a_spool(storage, spool):
    spool.claim()
    other = Spool.open(storage)
    with pytest.raises(SpoolError, match="another receiver"):
        other.claim()
    other.close()


def test_a_file_header_is_read_as_it_was_written(tmp_path):
    file = tmp_path / "a.dcm"
    file.write_bytes(
        file_header(
            sop_class_uid="1.2.3",
            sop_instance_uid="1.2.3.4",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            calling_ae="ODD",
            digest=bytes(range(32)),
        )
        + b"data set"
    )
    with file.open("rb") as stream:
        assert read_file_header(stream) == Meta("1.2.840.10008.1.2.1", "ODD", bytes(range(32)))
        assert stream.read() == b"data set"


def test_the_digest_of_a_row_is_that_of_the_data_set(index, keep):
    data = keep(1)
    (row,) = snapshot(index, "1.2.826.0.1.1", 1)
    assert row.sha256 == hashlib.sha256(data).hexdigest()


def test_recording_twice_what_the_spool_holds_changes_nothing(spool, index, keep):
    keep(1)
    before = snapshot(index, "1.2.826.0.1.1", 1)
    assert recover(spool, index).recorded == 0
    assert snapshot(index, "1.2.826.0.1.1", 1) == before
