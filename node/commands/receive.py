"""`perfusion-node receive`: the receiver alone, as `serve` starts it in a process of its own."""

import argparse
import gc
import logging
import sys
import threading

from node.arguments import add_config
from node.standing import begin

HELP = "the receiver alone (internal: serve starts it)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    add_config(parser)


def run(arguments: argparse.Namespace) -> int:
    """Receive until SIGTERM or SIGINT, then end the associations and return 0."""
    # pydicom takes numpy where it finds it. Nothing here makes an array, so it shall not find it.
    sys.modules["numpy"] = None  # type: ignore[assignment]  # the documented way to bar an import
    from node.audit import AuditTrail
    from node.index.health import refuse_damage
    from node.index.tables import open_index
    from node.receive.call_back import call_back_until
    from node.receive.commitment import CommitmentDesk
    from node.receive.intake import Intake
    from node.receive.recover import recover
    from node.receive.scp import Scp
    from node.spool import Spool
    from node.tls import server_context

    config, stop = begin(arguments.config)
    spool, index = Spool.open(config.storage), open_index(config.storage)
    refuse_damage(index)
    spool.claim()
    recover(spool, index)
    intake = Intake(
        spool,
        open_index(config.storage, flushes=False),  # what a power cut takes, recover finds again
        minimum_free_bytes=config.receive.minimum_free_mb * 2**20,
        maximum_instance_bytes=config.receive.maximum_instance_mb * 2**20,
    )
    tls = None if config.receive.tls is None else server_context(config.receive.tls)
    desk = CommitmentDesk(spool, index, config.receive)
    audit = AuditTrail(config.audit, config.storage, ae_title=config.receive.ae_title)
    scp = Scp(config.receive, intake, desk, audit, tls=tls).start()
    gc.freeze()  # what lives as long as the process need not be looked through again and again
    audit.application_started()
    for work, arguments_of_it in (
        (call_back_until, (stop, desk, index, config.receive)),
        (audit.ship_until, (stop,)),
    ):
        threading.Thread(target=work, args=arguments_of_it, daemon=True).start()
    stop.wait()
    scp.stop()
    intake.close()
    spool.close()
    audit.application_stopped()
    logging.getLogger(__name__).info("stopped")
    return 0
