"""A real PACS takes every object and gives back the same data set."""

import struct

import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE

from node.dicom_write import write_results


def data_set(file: bytes) -> bytes:
    """Cut preamble and file meta information off: only those may differ (PS3.10 7.1)."""
    assert file[128:132] == b"DICM"
    (meta_length,) = struct.unpack("<I", file[140:144])
    return file[144 + meta_length :]


@pytest.mark.peer
def test_orthanc_takes_everything_and_gives_back_the_same_bytes(objects, orthanc, tmp_path):
    paths = write_results(objects, tmp_path)
    entity = AE()
    for sop_class in {one.SOPClassUID for one in objects}:
        entity.add_requested_context(sop_class, ExplicitVRLittleEndian)
    association = entity.associate(orthanc.host, orthanc.dicom_port, ae_title=orthanc.ae_title)
    assert association.is_established
    try:
        statuses = [association.send_c_store(path).Status for path in paths]
    finally:
        association.release()
    assert set(statuses) == {0x0000}
    stored = orthanc.files()
    assert len(stored) == len(objects)
    for path in paths:
        uid = pydicom.dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID
        assert data_set(stored[uid]) == data_set(path.read_bytes()), path.name
