"""`perfusion-node train`: train a network of the pipeline on the phantom."""

import argparse
from pathlib import Path

from node.errors import UsageError

HELP = "train a network on the phantom; goes on where it stopped"

STAGES = ("segment",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("stage", choices=STAGES, help="what the network is for")
    parser.add_argument(
        "--work",
        type=Path,
        required=True,
        help="folder for examples (1.7 MB each) and checkpoints, outside the repository",
    )
    parser.add_argument("--examples", type=int, default=1500, help="phantom slices to learn from")
    parser.add_argument("--steps", type=int, default=8000, help="steps in all, over every resume")
    parser.add_argument("--seed", type=int, default=0, help="of weights and randomisation")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--processes", type=int, default=1, help="that make examples")
    parser.add_argument("--every", type=int, default=250, help="steps between checkpoints")


def run(arguments: argparse.Namespace) -> int:
    """Make the missing examples, learn, and write the weights into the work folder."""
    import torch

    from node.log_setup import set_up_logging
    from node.training import Store, learn, make_examples
    from node.weights import write_weights
    from pipeline.training.learn import Learner, LearningSettings

    set_up_logging("INFO")
    if min(arguments.examples, arguments.steps, arguments.every, arguments.processes) < 1:
        raise UsageError("--examples, --steps, --every and --processes must be at least 1")
    arguments.work.mkdir(parents=True, exist_ok=True)
    shards = make_examples(arguments.work / "examples", arguments.examples, arguments.processes)
    name = arguments.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    learner = Learner(LearningSettings(seed=arguments.seed, steps=arguments.steps), device)
    checkpoint = arguments.work / f"{arguments.stage}.checkpoint.pt"
    if checkpoint.exists():
        learner.resume(torch.load(checkpoint, map_location=device, weights_only=True))
        print(f"going on after step {learner.step}")
    learn(learner, Store(shards, device), arguments.steps, arguments.every, checkpoint)
    weights = arguments.work / f"{arguments.stage}.safetensors"
    checksum = write_weights(learner.averaged, weights)
    print(f"{weights}\nsha256 {checksum}")
    return 0
