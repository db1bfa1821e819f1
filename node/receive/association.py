"""One association, in one thread that sleeps in the kernel: nothing is polled, nothing is queued.

The states are those of an acceptor (PS3.8 section 9.2): wait for the request, answer it, take
messages until release, abort or silence.
"""

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from node.receive import messages, wire
from node.receive.commitment import CommitmentDesk, Report
from node.receive.contexts import STORAGE_COMMITMENT, VERIFICATION
from node.receive.draft import Draft
from node.receive.intake import Announcement, Answer, Incoming, Intake
from node.receive.messages import Command
from node.receive.negotiation import LONGEST_PDU, Agreement, Context

_LONGEST_COMMAND = 2**16
_LONGEST_ACTION = 16 * 2**20  # a commitment request for 100 000 instances
_SLACK = 2**16  # some peers count the header in or out of what was agreed

_OPERATIONS = {
    VERIFICATION: (messages.C_ECHO_RQ,),
    STORAGE_COMMITMENT: (messages.N_ACTION_RQ, messages.N_EVENT_REPORT_RQ),
}
"""What may be asked under a service; under all others C-STORE."""


@dataclass
class Tally:
    """What happened on one association, for log and audit trail."""

    stored: int = 0
    refused: int = 0
    studies: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """SOP class → number, by Study Instance UID."""

    def count(self, answer: Answer, sop_class_uid: str) -> None:
        """Add one C-STORE."""
        if answer.status == messages.SUCCESS:
            self.stored += 1
            self.studies[answer.study_uid][sop_class_uid] += 1
        else:
            self.refused += 1


class _Sink(Protocol):
    """Where the data set of the message under way goes."""

    def add(self, piece: memoryview) -> None: ...

    def finish(self) -> int: ...

    def abandon(self) -> None: ...


class Association:
    """Serves one peer after its association was accepted."""

    def __init__(
        self,
        connection: wire.Connection,
        agreement: Agreement,
        *,
        calling_ae: str,
        intake: Intake,
        desk: CommitmentDesk,
    ) -> None:
        self._connection = connection
        self._agreement = agreement
        self._calling_ae = calling_ae
        self._intake = intake
        self._desk = desk
        self._due: list[tuple[int, Context, Report]] = []
        self._reports: dict[int, Report] = {}  # sent and not confirmed, by message
        self._message_id = 0
        self.tally = Tally()
        self._draft = Draft()
        self._command_bytes = bytearray()
        self._command: Command | None = None
        self._context_id = 0
        self._sink: _Sink | None = None

    def serve(self) -> bool:
        """Take messages until the peer ends; True where it waits for the answer to its release.

        Raises
        ------
        PeerError
            The peer is gone, silent, or does not keep to the protocol.
        """
        try:
            while True:
                kind, body = self._connection.read_pdu(longest=LONGEST_PDU + _SLACK)
                if kind == wire.DATA_TF:
                    for context_id, control, data in messages.fragments(body):
                        self._take(context_id, control, data)
                elif kind in (wire.RELEASE_RQ, wire.ABORT):
                    return kind == wire.RELEASE_RQ
                else:
                    raise wire.UnexpectedPduError("a PDU that has no place in an association")
        finally:
            if self._sink is not None:
                self._sink.abandon()

    def _take(self, context_id: int, control: int, data: memoryview) -> None:
        if control & messages.IS_COMMAND:
            self._take_command(context_id, control, data)
        elif self._sink is None or context_id != self._context_id:
            raise wire.ProtocolError("a data set that nothing announced")
        else:
            self._sink.add(data)
            if control & messages.IS_LAST:
                self._finish()

    def _take_command(self, context_id: int, control: int, data: memoryview) -> None:
        if self._sink is not None:
            raise wire.ProtocolError("a command in the middle of a data set")
        self._command_bytes += data
        if len(self._command_bytes) > _LONGEST_COMMAND:
            raise wire.ProtocolError("a command that does not end")
        if not control & messages.IS_LAST:
            return
        context = self._agreement.contexts.get(context_id)
        if context is None:
            raise wire.ProtocolError("a presentation context that was not accepted")
        self._command = messages.read_command(bytes(self._command_bytes))
        self._command_bytes.clear()
        self._context_id = context_id
        self._begin(self._command, context)

    def _begin(self, command: Command, context: Context) -> None:
        if command.field & messages.RESPONSE or command.field == messages.C_CANCEL_RQ:
            self._hear(command)
            self._sink = _Void(0) if command.has_data_set else None
            self._command = None
            return
        self._sink = self._sink_for(command, context)
        if not command.has_data_set:
            self._finish()

    def _sink_for(self, command: Command, context: Context) -> "_Sink":
        wanted = _OPERATIONS.get(context.abstract_syntax, (messages.C_STORE_RQ,))
        if command.field not in wanted:
            return _Void(messages.UNRECOGNIZED_OPERATION)
        if command.field == messages.C_ECHO_RQ:
            return _Void(messages.SUCCESS)
        if command.field == messages.N_ACTION_RQ:
            return _Action(command, context, self._take_action)
        if command.field == messages.N_EVENT_REPORT_RQ:
            return _Action(command, context, self._take_report)
        if command.sop_class_uid != context.abstract_syntax:
            return _Void(messages.SOP_CLASS_NOT_SUPPORTED)
        incoming = self._intake.begin(
            Announcement(
                command.sop_class_uid,
                command.sop_instance_uid,
                context.transfer_syntax,
                self._calling_ae,
            ),
            self._draft,
        )
        return _Store(incoming, command.sop_class_uid, self.tally.count)

    def _finish(self) -> None:
        sink, self._sink = self._sink, None
        if sink is None:
            return
        status = sink.finish()
        if self._command is not None:
            answer = messages.response(self._command, status, self._context_id)
            self._connection.send(answer)
        self._send_reports()

    def _take_action(self, command: Command, context: Context, data: bytes) -> int:
        status, report = self._desk.take(
            data,
            context.transfer_syntax,
            action_type=command.action_type,
            calling_ae=self._calling_ae,
        )
        if report is not None:
            self._due.append((self._context_id, context, report))
        return status

    def _take_report(self, _command: Command, context: Context, data: bytes) -> int:
        return self._desk.hear(data, context.transfer_syntax)

    def _send_reports(self) -> None:
        """Report what was asked on this association, after the answer to the asking."""
        while self._due:
            context_id, context, report = self._due.pop()
            self._message_id = self._message_id % 0xFFFF + 1
            self._reports[self._message_id] = report
            self._connection.send(
                messages.event_report(
                    event_type=report.event_type,
                    data=report.encoded(context.transfer_syntax),
                    message_id=self._message_id,
                    context_id=context_id,
                    longest_pdu=self._agreement.longest_pdu_of_peer,
                )
            )

    def _hear(self, command: Command) -> None:
        """Take a response: the only ones that we wait for are those to our reports."""
        report = self._reports.pop(command.responds_to, None)
        if report is not None and command.status == messages.SUCCESS:
            self._desk.told(report)


class _Void:
    """Takes a data set that nobody wants and answers with a fixed status."""

    def __init__(self, status: int) -> None:
        self._status = status

    def add(self, piece: memoryview) -> None:
        """Forget it."""

    def finish(self) -> int:
        return self._status

    def abandon(self) -> None:
        """Nothing is held."""


class _Store:
    """Takes the data set of a C-STORE."""

    def __init__(
        self, incoming: Incoming, sop_class_uid: str, count: Callable[[Answer, str], None]
    ) -> None:
        self._incoming = incoming
        self._sop_class_uid = sop_class_uid
        self._count = count
        self.add = incoming.add
        self.abandon = incoming.abandon

    def finish(self) -> int:
        answer = self._incoming.finish()
        self._count(answer, self._sop_class_uid)
        return answer.status


class _Action:
    """Takes the data set of an N-ACTION or an N-EVENT-REPORT."""

    def __init__(
        self, command: Command, context: Context, take: Callable[[Command, Context, bytes], int]
    ) -> None:
        self._command = command
        self._context = context
        self._take = take
        self._data = bytearray()

    def add(self, piece: memoryview) -> None:
        self._data += piece
        if len(self._data) > _LONGEST_ACTION:
            raise wire.ProtocolError("an action that does not end")

    def finish(self) -> int:
        return self._take(self._command, self._context, bytes(self._data))

    def abandon(self) -> None:
        """Nothing is held elsewhere."""
