"""DIMSE command sets (PS3.7 section 6.3), read and written by hand: always implicit little endian.

A library's general way costs more per instance than everything else that intake does.
"""

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from node.receive.wire import DATA_TF, ProtocolError

C_STORE_RQ = 0x0001
C_ECHO_RQ = 0x0030
N_ACTION_RQ = 0x0130
N_EVENT_REPORT_RQ = 0x0100
C_CANCEL_RQ = 0x0FFF
RESPONSE = 0x8000

SUCCESS = 0x0000
UNRECOGNIZED_OPERATION = 0x0211  # PS3.7 C.5.9
SOP_CLASS_NOT_SUPPORTED = 0x0122  # PS3.7 C.5.6

_NO_DATA_SET = 0x0101
_HAS_DATA_SET = 0x0001
_DEFAULT_PDU = 2**14
_ELEMENT = struct.Struct("<HHI")
_ANSWER = struct.Struct("<" + 4 * "HHIH")
_GROUP_LENGTH = struct.Struct("<HHII")
_PDV = struct.Struct(">IBB")
_PDU_AND_PDV = struct.Struct(">BxIIBB")

IS_COMMAND = 1
IS_LAST = 2


class Command(NamedTuple):
    """The fields of a command set that the receiver looks at."""

    field: int
    message_id: int
    has_data_set: bool
    sop_class_uid: str
    sop_instance_uid: str
    action_type: int = 0
    status: int = 0
    responds_to: int = 0


def fragments(body: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Split the body of a P-DATA-TF PDU (PS3.8 section 9.3.5) without copying it.

    Of each piece of a command or of a data set: the presentation context, `IS_COMMAND` and
    `IS_LAST` as bits, and the bytes.
    """
    position, end = 0, len(body)
    while position < end:
        if end - position < _PDV.size:
            raise ProtocolError("a PDV without its header")
        length, context_id, control = _PDV.unpack_from(body, position)
        after = position + 4 + length
        if length < 2 or after > end:
            raise ProtocolError("a PDV that is longer than its PDU")
        yield context_id, control, body[position + _PDV.size : after]
        position = after


def read_command(data: bytes) -> Command:
    """Decode a command set.

    Raises
    ------
    ProtocolError
        It is none.
    """
    values: dict[int, bytes] = {}
    position, end = 0, len(data)
    while position + 8 <= end:
        group, element, length = _ELEMENT.unpack_from(data, position)
        start, position = position + 8, position + 8 + length
        if group != 0 or position > end:
            raise ProtocolError("a command set that cannot be decoded")
        values[element] = data[start:position]
    if 0x0100 not in values or 0x0800 not in values:
        raise ProtocolError("a command set without its kind")
    return Command(
        field=_number(values, 0x0100),
        message_id=_number(values, 0x0110),
        has_data_set=_number(values, 0x0800) != _NO_DATA_SET,
        sop_class_uid=_uid(values, 0x0002) or _uid(values, 0x0003),
        sop_instance_uid=_uid(values, 0x1000) or _uid(values, 0x1001),
        action_type=_number(values, 0x1008),
        status=_number(values, 0x0900),
        responds_to=_number(values, 0x0120),
    )


def response(command: Command, status: int, context_id: int) -> bytes:
    """Return the PDU that answers a request; none of our answers carries a data set."""
    sop_class = _class_element(command.sop_class_uid)
    instance = _uid_element(0x1000, command.sop_instance_uid) if command.sop_instance_uid else b""
    size = len(sop_class) + _ANSWER.size + len(instance)
    return b"".join(
        (
            _PDU_AND_PDV.pack(DATA_TF, size + 18, size + 14, context_id, IS_COMMAND | IS_LAST),
            _GROUP_LENGTH.pack(0, 0, 4, size),
            sop_class,
            _ANSWER.pack(
                *(0, 0x0100, 2, command.field | RESPONSE),
                *(0, 0x0120, 2, command.message_id),
                *(0, 0x0800, 2, _NO_DATA_SET),
                *(0, 0x0900, 2, status),
            ),
            instance,
        )
    )


@lru_cache(maxsize=64)
def _class_element(sop_class_uid: str) -> bytes:
    return _uid_element(0x0002, sop_class_uid) if sop_class_uid else b""


def event_report(
    *, event_type: int, data: bytes, message_id: int, context_id: int, longest_pdu: int
) -> bytes:
    """Return the PDUs of an N-EVENT-REPORT-RQ about storage commitment (PS3.7 section 10.3.1)."""
    fields = [
        _uid_element(0x0002, "1.2.840.10008.1.20.1"),
        _element(0x0100, struct.pack("<H", N_EVENT_REPORT_RQ)),
        _element(0x0110, struct.pack("<H", message_id)),
        _element(0x0800, struct.pack("<H", _HAS_DATA_SET)),
        _uid_element(0x1000, "1.2.840.10008.1.20.1.1"),
        _element(0x1002, struct.pack("<H", event_type)),
    ]
    room = (longest_pdu or _DEFAULT_PDU) - _PDV.size
    pieces = [data[start : start + room] for start in range(0, len(data), room)]
    last = len(pieces) - 1
    return _command_pdu(b"".join(fields), context_id) + b"".join(
        _one_pdu(piece, context_id, IS_LAST if number == last else 0)
        for number, piece in enumerate(pieces)
    )


def _command_pdu(fields: bytes, context_id: int) -> bytes:
    command = _element(0x0000, struct.pack("<I", len(fields))) + fields
    return _one_pdu(command, context_id, IS_COMMAND | IS_LAST)


def _one_pdu(data: bytes, context_id: int, control: int) -> bytes:
    size = len(data)
    return _PDU_AND_PDV.pack(DATA_TF, size + 6, size + 2, context_id, control) + data


def _element(element: int, value: bytes) -> bytes:
    return _ELEMENT.pack(0x0000, element, len(value)) + value


def _uid_element(element: int, uid: str) -> bytes:
    value = uid.encode("ascii")
    return _element(element, value + b"\0" * (len(value) % 2))


def _number(values: dict[int, bytes], element: int) -> int:
    value = values.get(element, b"\0\0")
    if len(value) != 2:
        raise ProtocolError("a command set with a number that is none")
    return value[0] | value[1] << 8


def _uid(values: dict[int, bytes], element: int) -> str:
    try:
        return values.get(element, b"").rstrip(b"\0 ").decode("ascii")
    except UnicodeDecodeError as error:
        raise ProtocolError("a command set with a UID that is none") from error
