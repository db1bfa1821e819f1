"""The seam to pynetdicom: the parts that the receiver stands on, in the pinned version."""

import importlib.metadata
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage, JPEGLSLossless, MRImageStorage
from pynetdicom import build_context
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    MaximumLengthNotification,
)

from node.receive import gate
from node.receive.negotiation import LONGEST_PDU, Context, accept, read_request, reject
from node.receive.wire import ProtocolError

ROOT = Path(__file__).parents[3]


def request_bytes(*contexts, name: str = "1.2.840.10008.3.1.1.1", version: int = 1) -> bytes:
    primitive = A_ASSOCIATE()
    primitive.application_context_name = name
    primitive.calling_ae_title, primitive.called_ae_title = "SCANNER", "PERFUSION"
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    primitive.presentation_context_definition_list = list(contexts)
    longest, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    longest.maximum_length_received = 32768
    implementation.implementation_class_uid = "1.2.3"
    primitive.user_information = [longest, implementation]
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    encoded = bytearray(pdu.encode())
    encoded[6:8] = version.to_bytes(2, "big")
    return bytes(encoded)


def test_the_seam_is_held_against_the_pinned_version():
    pinned = dict(
        line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if line
    )
    assert importlib.metadata.version("pynetdicom") == pinned["pynetdicom"]


def test_a_request_is_read_and_answered_with_what_both_sides_know():
    request = read_request(
        request_bytes(
            build_context(MRImageStorage, [JPEGLSLossless]),
            build_context(CTImageStorage),
            build_context(MRImageStorage, ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"]),
        )
    )
    assert (request.calling_ae, request.called_ae) == ("SCANNER", "PERFUSION")
    encoded, agreement = accept(request)
    assert agreement.contexts == {
        1: Context(MRImageStorage, JPEGLSLossless),
        5: Context(MRImageStorage, "1.2.840.10008.1.2.1"),  # the one that loses no VR
    }
    assert agreement.longest_pdu_of_peer == 32768
    answer = A_ASSOCIATE_AC()
    answer.decode(encoded)
    told = answer.to_primitive()
    assert [context.result for context in told.presentation_context_definition_results_list] == [
        0,
        3,
        0,
    ]
    (length,) = [
        item.maximum_length_received
        for item in told.user_information
        if isinstance(item, MaximumLengthNotification)
    ]
    assert length == LONGEST_PDU


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [({"name": "1.2.3"}, gate.CONTEXT_UNKNOWN), ({"version": 2}, gate.VERSION_UNKNOWN)],
)
def test_another_protocol_is_refused(changes, refusal):
    request = read_request(request_bytes(build_context(MRImageStorage), **changes))
    assert request.refusal == refusal
    assert reject(refusal) == bytes(
        [3, 0, 0, 0, 0, 4, 0, refusal.result, refusal.source, refusal.diagnostic]
    )


def test_a_beginning_of_a_request_is_an_error_or_refused_and_no_crash():
    whole = request_bytes(build_context(MRImageStorage))
    for length in range(6, len(whole) - 1, 7):
        try:
            request = read_request(whole[:length])
            accept(request)
        except ProtocolError:
            continue
        assert request.refusal is not None, length
