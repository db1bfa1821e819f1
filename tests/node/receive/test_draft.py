"""The bytes of an instance in memory, until they go to the disk."""

import ctypes
import itertools
import mmap

import pytest

from node.receive.draft import Draft
from node.receive.part10 import file_header


def header_for(data: bytes) -> bytes:
    return file_header(
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        sop_instance_uid="1.2.3",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        calling_ae="SCANNER",
        data_bytes=len(data),
    )


@pytest.mark.parametrize("pieces", [1, 2, 7])
def test_header_and_data_are_one_from_the_beginning_of_a_page_on_however_they_came(pieces):
    draft = Draft()
    lengths = [*range(80_000, 80_000 + 2 * mmap.PAGESIZE, 101), 1, 400_000]  # of odd ones, too
    for length in lengths:
        data = (bytes(range(251)) * (length // 251 + 1))[:length]
        borders = [length * number // pieces for number in range(pieces + 1)]
        draft.clear()
        for start, end in itertools.pairwise(borders):
            draft.add(data[start:end])
        assert bytes(draft.data) == data
        content = draft.below(header_for(data))
        assert bytes(content) == header_for(data) + data
        assert ctypes.addressof(ctypes.c_char.from_buffer(content)) % mmap.PAGESIZE == 0
