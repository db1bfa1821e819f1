"""From the A-ASSOCIATE-RQ to its answer: pynetdicom's codec and rules, without its threads.

This is the seam between pynetdicom and our data path: only its documented PDU classes, primitives
and `negotiate_as_acceptor` are used, and a test holds the seam against the pinned version.
"""

from dataclasses import dataclass

from pydicom.uid import UID
from pynetdicom import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
)
from pynetdicom.presentation import PresentationContext, negotiate_as_acceptor

from node.receive.contexts import supported_contexts
from node.receive.gate import CONTEXT_UNKNOWN, VERSION_UNKNOWN, Refusal
from node.receive.wire import ProtocolError

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
LONGEST_REQUEST = 2**18  # 128 contexts with every transfer syntax need about a tenth of it
LONGEST_PDU = 2**18  # what we offer in the answer, PS3.8 annex D.1


@dataclass(frozen=True)
class Context:
    """An accepted presentation context."""

    abstract_syntax: str
    transfer_syntax: str


@dataclass(frozen=True)
class Request:
    """An association request that could be read."""

    calling_ae: str
    called_ae: str
    primitive: A_ASSOCIATE
    refusal: Refusal | None
    """Set where the request asks for another protocol than DICOM's."""


@dataclass(frozen=True)
class Agreement:
    """What both sides may use from now on."""

    contexts: dict[int, Context]
    longest_pdu_of_peer: int
    """0: any."""


def read_request(pdu: bytes) -> Request:
    """Decode an A-ASSOCIATE-RQ, header included.

    Raises
    ------
    ProtocolError
        It cannot be decoded.
    """
    request = A_ASSOCIATE_RQ()
    try:
        request.decode(pdu)
        primitive = request.to_primitive()
        calling_ae, called_ae = _printable(primitive.calling_ae_title), primitive.called_ae_title
        context_name = str(primitive.application_context_name)
    except Exception as error:
        raise ProtocolError("an association request that cannot be decoded") from error
    refusal = None
    if not request.protocol_version & 1:
        refusal = VERSION_UNKNOWN
    elif context_name != APPLICATION_CONTEXT:
        refusal = CONTEXT_UNKNOWN
    return Request(calling_ae, called_ae.strip(), primitive, refusal)


def accept(request: Request) -> tuple[bytes, Agreement]:
    """Negotiate the presentation contexts; return the A-ASSOCIATE-AC and what was agreed."""
    primitive = request.primitive
    results, roles = negotiate_as_acceptor(
        primitive.presentation_context_definition_list, supported_contexts(), _roles(primitive)
    )
    answer = A_ASSOCIATE()
    answer.application_context_name = APPLICATION_CONTEXT
    answer.calling_ae_title = primitive.calling_ae_title
    answer.called_ae_title = primitive.called_ae_title
    answer.result, answer.result_source = 0x00, 0x01
    answer.presentation_context_definition_results_list = results
    longest = MaximumLengthNotification()
    longest.maximum_length_received = LONGEST_PDU
    implementation = ImplementationClassUIDNotification()
    implementation.implementation_class_uid = PYNETDICOM_IMPLEMENTATION_UID
    version = ImplementationVersionNameNotification()
    version.implementation_version_name = PYNETDICOM_IMPLEMENTATION_VERSION
    answer.user_information = [longest, implementation, version, *roles]
    pdu = A_ASSOCIATE_AC()
    pdu.from_primitive(answer)
    return pdu.encode(), Agreement(_accepted(results), _longest_pdu(primitive))


def reject(refusal: Refusal) -> bytes:
    """Return the A-ASSOCIATE-RJ."""
    answer = A_ASSOCIATE_RJ()
    answer.result = refusal.result
    answer.source = refusal.source
    answer.reason_diagnostic = refusal.diagnostic
    return bytes(answer.encode())


def _accepted(results: list[PresentationContext]) -> dict[int, Context]:
    return {
        context.context_id: Context(str(context.abstract_syntax), str(context.transfer_syntax[0]))
        for context in results
        if context.result == 0x00 and context.context_id is not None
    }


def _roles(request: A_ASSOCIATE) -> dict[UID, tuple[bool | None, bool | None]]:
    """Which roles the peer wants for itself: a PACS that reports to us is the SCP."""
    return {
        item.sop_class_uid: (bool(item.scu_role), bool(item.scp_role))
        for item in request.user_information
        if isinstance(item, SCP_SCU_RoleSelectionNegotiation) and item.sop_class_uid is not None
    }


def _longest_pdu(request: A_ASSOCIATE) -> int:
    for item in request.user_information:
        if isinstance(item, MaximumLengthNotification):
            return int(item.maximum_length_received)
    return 0


def _printable(title: str) -> str:
    """Keep a title from a stranger from writing lines of its own into the log."""
    return "".join(letter if " " <= letter <= "~" else "?" for letter in title).strip()
