import shutil
from importlib import resources

import pytest
import torch
from safetensors.torch import save

from node.cli import guarded, main
from node.errors import WeightsError
from node.weights import anatomy_network, checksum, packaged_weights, read_weights, write_weights

WEIGHTS = {"layer.weight": torch.arange(6.0).reshape(2, 3), "layer.bias": torch.ones(2)}


def test_weights_come_back_as_they_were_written(tmp_path):
    write_weights(WEIGHTS, tmp_path / "some.safetensors")
    back = read_weights(tmp_path / "some.safetensors")
    assert back.keys() == WEIGHTS.keys()
    assert all(torch.equal(back[name], value) for name, value in WEIGHTS.items())


def test_the_checksum_depends_on_the_weights_only(tmp_path):
    first = write_weights(WEIGHTS, tmp_path / "a")
    assert first == write_weights(dict(reversed(WEIGHTS.items())), tmp_path / "b")
    assert first != write_weights(WEIGHTS | {"layer.bias": torch.zeros(2)}, tmp_path / "c")


def test_weights_that_changed_since_they_were_written_are_refused(tmp_path):
    path = tmp_path / "some.safetensors"
    write_weights(WEIGHTS, path)
    assert (tmp_path / "some.safetensors.sha256").read_text().split()[0] == checksum(path)
    path.write_bytes(save({"layer.weight": torch.zeros(2)}))
    with pytest.raises(WeightsError, match="checksum"):
        read_weights(path)


def test_one_wrong_bit_in_the_weights_that_ship_is_noticed_and_no_study_is_analysed(
    monkeypatch, tmp_path, capsys
):
    shipped = resources.files("pipeline") / "weights"
    copy = tmp_path / "pipeline" / "weights"
    shutil.copytree(str(shipped), copy)
    content = bytearray((copy / "segment.safetensors").read_bytes())
    content[len(content) // 2] ^= 1
    (copy / "segment.safetensors").write_bytes(bytes(content))
    monkeypatch.setattr(resources, "files", lambda _: tmp_path / "pipeline")
    with pytest.raises(WeightsError, match="differ from their checksum"):
        anatomy_network()
    assert guarded(lambda: anatomy_network() and 0) == WeightsError.exit_code
    assert "checksum" in capsys.readouterr().err


def test_a_pickle_is_refused(tmp_path):
    torch.save(WEIGHTS, tmp_path / "pickle.pt")
    with pytest.raises(WeightsError, match="not a safetensors"):
        read_weights(tmp_path / "pickle.pt")


def test_configured_weights_are_tried_before_a_node_is_started(tmp_path, capsys):
    write_weights(WEIGHTS, tmp_path / "other.safetensors")
    config = tmp_path / "config.yaml"
    config.write_text(f"analysis:\n  weights: {tmp_path / 'other.safetensors'}\n")
    assert main(["check", "--config", str(config)]) == 1
    assert "not those" in capsys.readouterr().err
    write_weights(packaged_weights("segment"), tmp_path / "other.safetensors")
    assert main(["check", "--config", str(config)]) == 0


def test_weights_that_do_not_ship_are_named():
    with pytest.raises(WeightsError, match="crystal-ball"):
        packaged_weights("crystal-ball")
