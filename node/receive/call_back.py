"""Reports of storage commitment on associations of our own, until they are heard.

This is for peers whose address the configuration knows: most scanners release their association
before an answer could come. Here pynetdicom is the requestor, as it comes: it is rare work.
"""

import logging
import ssl
import threading
import time

import sqlalchemy as sa
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_role

from node.config import Receive, Sender
from node.errors import NodeError
from node.index.clock import pull_in
from node.index.commitments import (
    COMMITMENT,
    CommitmentRequest,
    due_requests,
    mark_told,
    postpone,
)
from node.receive.commitment import CommitmentDesk, Report
from node.receive.contexts import STORAGE_COMMITMENT
from node.tls import client_context

LOGGER = logging.getLogger(__name__)

_LOOK_EVERY_S = 2.0
_FIRST_RETRY_S = 15.0
_LONGEST_RETRY_S = 3600.0
_GIVE_UP_AFTER_S = 4 * 86400.0
_WELL_KNOWN_INSTANCE = "1.2.840.10008.1.20.1.1"


class NotHeardError(NodeError):
    """A peer could not be told its report."""


def call_back_until(
    stop: threading.Event, desk: CommitmentDesk, index: sa.Engine, settings: Receive
) -> None:
    """Tell every due report, again and again, until `stop` is set."""
    while not stop.wait(_LOOK_EVERY_S):
        try:
            call_back(desk, index, settings, now_s=time.time())
        except (NodeError, sa.exc.SQLAlchemyError) as error:
            LOGGER.error("commitment reports are delayed: %s", type(error).__name__)  # noqa: TRY400  its text may repeat values


def call_back(desk: CommitmentDesk, index: sa.Engine, settings: Receive, *, now_s: float) -> None:
    """Try once to tell every report that is due."""
    senders = {sender.ae_title: sender for sender in settings.senders if sender.host}
    pull_in(index, COMMITMENT.c.next_try_s, now_s, _LONGEST_RETRY_S)
    for request in due_requests(index, now_s):
        sender = senders.get(request.calling_ae)
        if sender is None:  # no longer in the configuration
            postpone(index, request, None)
            continue
        try:
            _tell(sender, desk.report(request), settings)
        except NotHeardError as error:
            LOGGER.warning("%s: commitment report not heard: %s", request.calling_ae, error)
            postpone(index, request, next_try_s(request, now_s))
        else:
            mark_told(index, request)


def next_try_s(request: CommitmentRequest, now_s: float) -> float | None:
    """When to try again after a failure; None: no more."""
    if now_s - request.received_s > _GIVE_UP_AFTER_S:
        return None
    doubled_s = _FIRST_RETRY_S * 2.0 ** min(request.attempts, 16)
    return now_s + min(doubled_s, _LONGEST_RETRY_S)


def _tell(sender: Sender, report: Report, settings: Receive) -> None:
    entity = AE(settings.ae_title)
    for timeout in ("acse_timeout", "dimse_timeout", "network_timeout", "connection_timeout"):
        setattr(entity, timeout, settings.negotiation_timeout_s)
    syntaxes = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
    entity.add_requested_context(STORAGE_COMMITMENT, syntaxes)
    tls: tuple[ssl.SSLContext, str] | None = None
    if settings.tls is not None:
        tls = client_context(settings.tls, check_host_name=False), str(sender.host)
    association = entity.associate(
        str(sender.host),
        sender.port,
        ae_title=sender.ae_title,
        # The roles are reversed: we ask for the association and are the provider.
        ext_neg=[build_role(STORAGE_COMMITMENT, scu_role=False, scp_role=True)],
        tls_args=tls,
    )
    if not association.is_established:
        raise NotHeardError("no association")
    try:
        status, _ = association.send_n_event_report(
            report.dataset, report.event_type, STORAGE_COMMITMENT, _WELL_KNOWN_INSTANCE
        )
    except (ValueError, RuntimeError) as error:
        raise NotHeardError("the peer does not take reports") from error
    finally:
        association.release()
    if status.get("Status") != 0x0000:
        raise NotHeardError("the peer did not confirm the report")
