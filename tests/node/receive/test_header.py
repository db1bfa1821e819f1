"""Reading the beginning of a data set: our walk against pydicom, which reads everything."""

import os
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from node.errors import UnreadableInstanceError
from node.receive import header
from node.receive.header import read_header

EXPLICIT = "1.2.840.10008.1.2.1"
SYNTAXES = [EXPLICIT, header.IMPLICIT_LITTLE, header.EXPLICIT_BIG, header.DEFLATED]


def encoded(dataset: Dataset, syntax: str) -> bytes:
    stream = DicomBytesIO()
    stream.is_implicit_VR = syntax == header.IMPLICIT_LITTLE
    stream.is_little_endian = syntax != header.EXPLICIT_BIG
    write_dataset(stream, dataset)
    data = stream.getvalue()
    if syntax == header.DEFLATED:
        packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        data = packer.compress(data) + packer.flush()
    return data


def small(**changes) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.4"
    dataset.SOPInstanceUID = "1.2.3.4"
    dataset.Modality = "MR"
    dataset.StudyInstanceUID = "1.2.3"
    dataset.SeriesInstanceUID = "1.2.3.1"
    dataset.ImagesInAcquisition = 15
    dataset.NumberOfTemporalPositions = 10
    dataset.Rows = 3
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_the_values_are_read_in_every_encoding(syntax):
    found = read_header(encoded(small(), syntax), syntax)
    assert found == header.Header(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        sop_instance_uid="1.2.3.4",
        study_uid="1.2.3",
        series_uid="1.2.3.1",
        modality="MR",
        expected_images=150,
    )


@pytest.mark.parametrize("undefined", [True, False])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_uids_inside_sequences_are_not_taken_for_the_instance_s_own(syntax, undefined):
    item = Dataset()
    item.SeriesInstanceUID = "9.9.9"
    item.StudyInstanceUID = "9.9.8"
    item.ReferencedSOPInstanceUID = "9.9.7"
    dataset = small(ReferencedSeriesSequence=Sequence([item, item]))
    dataset["ReferencedSeriesSequence"].is_undefined_length = undefined
    assert read_header(encoded(dataset, syntax), syntax).series_uid == "1.2.3.1"


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"ImagesInAcquisition": None}, None),
        ({"NumberOfTemporalPositions": None}, 15),
        ({"ImagesInAcquisition": 0}, None),
        ({"ImagesInAcquisition": 999_999, "NumberOfTemporalPositions": 999_999}, None),
    ],
)
def test_the_number_of_images_is_known_only_where_the_header_says_it(changes, expected):
    assert read_header(encoded(small(**changes), EXPLICIT), EXPLICIT).expected_images == expected


def test_a_data_set_without_a_study_belongs_to_nothing():
    dataset = small()
    del dataset.StudyInstanceUID
    with pytest.raises(UnreadableInstanceError):
        read_header(encoded(dataset, EXPLICIT), EXPLICIT)


def test_a_deflated_bomb_is_not_inflated_whole():
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    data = encoded(small(), EXPLICIT) + b"\0" * 20_000_000
    bomb = packer.compress(data) + packer.flush()
    assert read_header(bomb, header.DEFLATED).study_uid == "1.2.3"


@given(st.binary(max_size=200), st.integers(0, 400), st.sampled_from(SYNTAXES))
@settings(max_examples=300, deadline=None)
def test_damaged_data_sets_are_read_or_refused_and_never_crash(damage, position, syntax):
    data = bytearray(encoded(small(), syntax))
    data[position : position + len(damage)] = damage
    try:
        found = read_header(bytes(data), syntax)
    except UnreadableInstanceError:
        return
    for uid in (found.study_uid, found.series_uid, found.sop_instance_uid):
        assert header.is_uid(uid)


def test_real_headers_of_all_vendors_are_read_as_pydicom_reads_them(shared_data):
    compared = 0
    for folder, _, names in os.walk(shared_data / "vendor-headers"):
        for name in sorted(names)[:3]:
            content = Path(folder, name).read_bytes()
            if content[128:132] != b"DICM" or content[132:136] != b"\2\0\0\0":
                continue
            dataset = dcmread(BytesIO(content), stop_before_pixels=True)
            if "SOPClassUID" not in dataset:
                continue
            data = content[144 + int.from_bytes(content[140:144], "little") :]
            found = read_header(data, dataset.file_meta.TransferSyntaxUID)
            assert found.study_uid == dataset.StudyInstanceUID
            assert found.series_uid == dataset.SeriesInstanceUID
            assert found.sop_instance_uid == dataset.SOPInstanceUID
            assert found.sop_class_uid == dataset.SOPClassUID
            assert found.modality == dataset.Modality
            compared += 1
    assert compared > 10
