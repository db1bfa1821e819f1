"""The receiver as a process: mends what its last end left, listens until told to stop."""

import gc
import logging
import threading

import sqlalchemy as sa

from node.audit import AuditTrail
from node.config import Config
from node.index.checkpoint import checkpoint_until
from node.index.health import refuse_damage
from node.index.tables import open_index
from node.receive.call_back import call_back_until
from node.receive.commitment import CommitmentDesk
from node.receive.intake import Intake
from node.receive.recover import recover
from node.receive.scp import Scp
from node.spool import Spool
from node.tls import server_context

LOGGER = logging.getLogger(__name__)


def receive_until(stop: threading.Event, config: Config) -> None:
    """Receive until `stop` is set, then end the associations.

    Raises
    ------
    IndexUnusableError, SpoolError, UsageError
        Nothing can be received; the message says what to do.
    """
    spool, index = _open(config)
    intake = Intake(
        spool,
        open_index(config.storage, flushes=False),  # what a power cut takes, recover finds again
        minimum_free_bytes=config.receive.minimum_free_mb * 2**20,
        maximum_instance_bytes=config.receive.maximum_instance_mb * 2**20,
    )
    desk = CommitmentDesk(spool, index, config.receive)
    audit = AuditTrail(config.audit, config.storage, ae_title=config.receive.ae_title)
    tls = None if config.receive.tls is None else server_context(config.receive.tls)
    scp = Scp(config.receive, intake, desk, audit, tls=tls).start()
    gc.freeze()  # what lives as long as the process need not be looked through again and again
    audit.application_started()
    for work, arguments in (
        (call_back_until, (stop, desk, index, config.receive)),
        (audit.ship_until, (stop,)),
        (checkpoint_until, (stop, index)),
    ):
        threading.Thread(target=work, args=arguments, daemon=True).start()
    stop.wait()
    scp.stop()
    intake.close()
    spool.close()
    audit.application_stopped()
    LOGGER.info("stopped")


def _open(config: Config) -> tuple[Spool, sa.Engine]:
    """Open spool and index, and make them agree."""
    spool, index = Spool.open(config.storage), open_index(config.storage)
    refuse_damage(index)
    spool.claim()
    recover(spool, index)
    return spool, index
