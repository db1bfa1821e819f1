import json

import pytest
import torch

from node.cli import main
from node.weights import anatomy_network, packaged_weights, read_weights, write_weights
from pipeline.training import examples


def test_training_goes_on_where_it_stopped_and_its_weights_are_those_of_the_network(
    tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("node.training._SHARD", 2)  # examples a file: the same, sooner
    monkeypatch.setattr("node.training.get_context", lambda _: None)  # of this process
    work = ["train", "segment", "--work", str(tmp_path), "--examples", "2", "--device", "cpu"]
    assert main([*work, "--steps", "1"]) == 0
    assert (tmp_path / "segment.checkpoint.pt").exists()
    first = (tmp_path / "segment.safetensors").read_bytes()
    capsys.readouterr()
    assert main([*work, "--steps", "2"]) == 0
    said = capsys.readouterr().out
    assert "going on after step 1" in said
    assert (tmp_path / "segment.safetensors").read_bytes() != first
    anatomy_network(tmp_path / "segment.safetensors")


@pytest.mark.parametrize("content", [b"torn", {"step": 3}, {"step": 3, "network": {}}])
def test_a_checkpoint_that_cannot_be_gone_on_from_is_left_and_said(
    content, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("node.training._SHARD", 2)
    monkeypatch.setattr("node.training.get_context", lambda _: None)
    checkpoint = tmp_path / "segment.checkpoint.pt"
    if isinstance(content, bytes):
        checkpoint.write_bytes(content)
    else:
        torch.save(content, checkpoint)
    before = checkpoint.read_bytes()
    asked = ["train", "segment", "--work", str(tmp_path), "--examples", "2", "--device", "cpu"]
    assert main([*asked, "--steps", "4"]) == 1
    assert "choose another --work" in capsys.readouterr().err
    assert checkpoint.read_bytes() == before


def test_weights_are_taught_what_to_expect_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr("node.training._SHARD", 2)
    monkeypatch.setattr("node.training.get_context", lambda _: None)
    before = packaged_weights("segment")
    older = {**before, "dice_of_signs": torch.ones(6)}  # as an earlier version wrote them
    write_weights(older, tmp_path / "older.safetensors")
    asked = ["train", "expectation", "--work", str(tmp_path), "--device", "cpu"]
    given = ["--start-from", str(tmp_path / "older.safetensors"), "--examples", "20"]
    assert main([*asked, *given]) == 0
    after = read_weights(tmp_path / "expectation.safetensors")
    changed = {name for name, value in before.items() if not torch.equal(after[name], value)}
    assert changed == {"dice_of_signs"}
    anatomy_network(tmp_path / "expectation.safetensors")


def test_what_to_expect_is_not_learned_from_other_networks_nor_from_studies(tmp_path, capsys):
    write_weights({"other": torch.ones(3)}, tmp_path / "other.safetensors")
    asked = ["train", "expectation", "--work", str(tmp_path), "--device", "cpu"]
    assert main([*asked, "--start-from", str(tmp_path / "other.safetensors")]) == 1
    assert "another network's" in capsys.readouterr().err
    assert main([*asked, "--studies", str(tmp_path)]) == 2


def test_nonsense_numbers_are_a_usage_error(tmp_path):
    assert main(["train", "segment", "--work", str(tmp_path), "--steps", "0"]) == 2


def test_evaluation_refuses_seeds_that_the_network_may_have_seen():
    first = str(examples.FIRST_TRAINING_SEED)
    assert main(["evaluate", "--first-seed", first, "--studies", "1", "--json"]) == 2


def test_evaluation_scores_every_slice_of_a_held_out_phantom(capsys, monkeypatch):
    monkeypatch.delenv("PERFUSION_SHARED_DATA", raising=False)
    assert main(["evaluate", "--studies", "1", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["held-out phantoms"]
    assert len(scores) == 3
    assert all(one["myocardium_dice"] > 0.88 for one in scores)
    assert all(one["lv_pool_dice"] > 0.85 for one in scores)
    assert all(max(one["anterior_mm"], one["inferior_mm"]) < 3 for one in scores)


def test_weights_of_another_network_are_refused(tmp_path, capsys):
    write_weights({"other": torch.ones(3)}, tmp_path / "other.safetensors")
    assert (
        main(["evaluate", "--studies", "1", "--weights", str(tmp_path / "other.safetensors")]) == 1
    )
    assert "not those" in capsys.readouterr().err
