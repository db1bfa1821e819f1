import http.client
import threading

import pytest

from node.config import Config
from node.index import entry, ledger
from node.index.arrivals import Arrival, record
from node.index.jobs import freeze_and_add
from node.index.ledger import DeliveryState, Result
from node.index.tables import open_index
from node.status.server import StatusServer


@pytest.fixture
def status(tmp_path):
    """Serve the page of a node with one analysed study and one refused result."""
    config = Config.model_validate(
        {
            "storage": {"directory": tmp_path},
            "status": {"port": 0},
            "receive": {"minimum_free_mb": 0},
        }
    )
    index = open_index(config.storage)
    with StatusServer(config, index) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()
    index.dispose()


def fill(index):
    arrival = Arrival(
        sop_instance_uid="1.2.3.1",
        study_uid="1.2.3",
        series_uid="1.2.3.0",
        sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        file="1.dcm",
        size_bytes=1,
        sha256="1",
        modality="MR",
        expected_images=None,
        calling_ae="SCANNER",
        received_s=100.0,
    )
    record(index, [arrival])
    freeze_and_add(index, "1.2.3", 1, 100.0)
    made = Result(sop_instance_uid="2.25.1", sop_class_uid="1.2", kind="pictures", file="a/1.dcm")
    states = {"pacs": {"pictures": DeliveryState.PENDING}}
    entry.register(index, "1.2.3", 1, [made], first_states=states, now_s=100.0)
    (row,) = ledger.study_deliveries(index, "1.2.3")
    ledger.settle(
        index,
        row,
        state=DeliveryState.REFUSED,
        status=0xC000,
        reason="<refused>",
        next_try_s=0.0,
        now_s=101.0,
    )


def get(server, path, method="GET"):
    connection = http.client.HTTPConnection(*server.server_address, timeout=10)
    connection.request(method, path)
    response = connection.getresponse()
    text = response.read().decode()
    connection.close()
    return response.status, text


def test_an_empty_node_is_healthy_and_shows_nothing(status):
    assert get(status, "/health") == (200, "ok\n")
    code, text = get(status, "/")
    assert code == 200
    assert "0 images" in text


def test_a_study_that_needs_a_person_is_marked(status):
    fill(status.index)
    _, text = get(status, "/")
    assert "1 need a person" in text
    assert "class='stuck'" in text
    assert "1.2.3" in text


def test_metrics_count_images_jobs_and_deliveries(status):
    fill(status.index)
    _, text = get(status, "/metrics")
    assert "perfusion_node_images 1" in text
    assert 'perfusion_node_jobs{state="queued"} 1' in text
    assert 'perfusion_node_deliveries{destination="pacs",state="refused"} 1' in text


def test_an_unhealthy_disk_is_said_with_503(status):
    receive = status.config.receive.model_copy(update={"minimum_free_mb": 10**12})
    status.config = status.config.model_copy(update={"receive": receive})
    assert get(status, "/health")[0] == 503


def test_nothing_can_be_changed_and_nothing_else_is_there(status):
    assert get(status, "/etc/passwd")[0] == 404
    assert get(status, "/", method="POST")[0] == 501
