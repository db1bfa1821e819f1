import json

from node.cli import main
from node.weights import anatomy_network
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
    import torch

    from node.weights import write_weights

    write_weights({"other": torch.ones(3)}, tmp_path / "other.safetensors")
    assert (
        main(["evaluate", "--studies", "1", "--weights", str(tmp_path / "other.safetensors")]) == 1
    )
    assert "not those" in capsys.readouterr().err
