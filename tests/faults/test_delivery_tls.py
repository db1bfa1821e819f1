"""Results over TLS with certificates on both sides, and to nobody whose certificate is unknown."""

import contextlib
import socket
import subprocess
import sys
import threading

import pytest
import yaml

from node.config import Tls
from node.index.ledger import DeliveryState
from node.tls import server_context
from tests.certificates import tls
from tests.peers import ROOT, Pacs
from tests.shipping import KINDS, Shipping


@pytest.fixture
def handshakes():
    """Serve TLS handshakes and nothing more; returns the port."""
    listeners = []

    def serve(context):
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def shake():
            with contextlib.suppress(OSError), listener.accept()[0] as connection:
                context.wrap_socket(connection, server_side=True).close()

        thread = threading.Thread(target=shake)
        thread.start()
        listeners.append(thread)
        return listener.getsockname()[1]

    yield serve
    for listener, thread in zip(listeners[::2], listeners[1::2], strict=True):
        thread.join(timeout=10)
        listener.close()


def test_results_go_to_a_pacs_that_both_sides_know(tmp_path, certificates):
    pacs = Pacs(tls=server_context(Tls(**tls(certificates, "known")))).start()
    shipping = Shipping(tmp_path, pacs, tls=tls(certificates, "known"))
    shipping.attempt()
    pacs.stop()
    assert shipping.states == dict.fromkeys(KINDS, DeliveryState.STORED)
    shipping.index.dispose()


@pytest.mark.parametrize(("pacs_is", "node_is"), [("stranger", "known"), ("known", "stranger")])
def test_nobody_is_called_whose_certificate_is_unknown(
    tmp_path, certificates, handshakes, pacs_is, node_is
):
    port = handshakes(server_context(Tls(**tls(certificates, pacs_is))))
    destination = {
        "name": "pacs",
        "ae_title": "PACS",
        "host": "127.0.0.1",
        "port": port,
        "tls": tls(certificates, node_is),
    }
    config = tmp_path / "config.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "storage": {"directory": str(tmp_path)},
                "delivery": {"destinations": [destination], "timeout_s": 2.0},
            }
        )
    )
    # A process of its own, because pynetdicom leaves the socket of a failed handshake open.
    examined = subprocess.run(
        [sys.executable, "-m", "node", "doctor", "--config", str(config)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert examined.returncode == 1
    assert "C-ECHO answered" not in examined.stdout
    assert "BAD" in examined.stdout.splitlines()[-1]
