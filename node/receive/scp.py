"""The network side of intake: pynetdicom negotiates and calls, `Intake` decides."""

import logging
from typing import Self

from pynetdicom import AE, evt
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.events import Event
from pynetdicom.transport import ThreadedAssociationServer

from node.config import Receive
from node.receive.contexts import supported_contexts
from node.receive.intake import CANNOT_UNDERSTAND, Intake, Received

LOGGER = logging.getLogger(__name__)


class Scp:
    """A listening Storage and Verification SCP."""

    def __init__(self, settings: Receive, intake: Intake) -> None:
        self._settings = settings
        self._intake = intake
        self._entity = AE(settings.ae_title)
        self._entity.require_called_aet = True
        self._entity.require_calling_aet = list(settings.calling_ae_titles)
        self._entity.maximum_associations = settings.maximum_associations
        self._entity.network_timeout = settings.network_timeout_s
        self._entity.supported_contexts = supported_contexts()
        self._server: ThreadedAssociationServer | None = None

    def start(self) -> Self:
        """Listen; return at once."""
        self._server = self._entity.start_server(
            (self._settings.host, self._settings.port),
            block=False,
            evt_handlers=[(evt.EVT_C_STORE, self._on_store), (evt.EVT_C_ECHO, lambda _: 0x0000)],
        )
        LOGGER.info(
            "listening on %s:%d as %s", self._settings.host, self.port, self._settings.ae_title
        )
        return self

    @property
    def port(self) -> int:
        """The port, also where the configuration leaves the choice to the system (0)."""
        if self._server is None:
            raise RuntimeError("not listening")
        return int(self._server.server_address[1])

    def stop(self) -> None:
        """Stop listening and end the associations."""
        self._entity.shutdown()

    def _on_store(self, event: Event) -> int:
        request = event.request
        if not isinstance(request, C_STORE) or request.DataSet is None:
            return CANNOT_UNDERSTAND
        return self._intake.store(
            Received(
                sop_class_uid=str(request.AffectedSOPClassUID),
                sop_instance_uid=str(request.AffectedSOPInstanceUID),
                transfer_syntax_uid=str(event.context.transfer_syntax),
                calling_ae=str(event.assoc.requestor.ae_title).strip(),
                data=(request.DataSet.getvalue(),),
            )
        )
