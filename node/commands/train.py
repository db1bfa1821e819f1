"""`perfusion-node train`: train a network on the phantom, or on with a site's own studies."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from node.errors import UsageError, WeightsError

if TYPE_CHECKING:
    import torch

    from node.training import Batches
    from pipeline.training.learn import Learner

HELP = "train a network on the phantom, or on with a site's own studies; goes on where it stopped"

STAGES = ("segment",)
_EXAMPLES = 1500
_FINE_LEARNING_RATE = 2e-4
"""A tenth of the usual: a site has few studies, and what was learned before is to stay."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("stage", choices=STAGES, help="what the network is for")
    parser.add_argument(
        "--work",
        type=Path,
        required=True,
        help="folder for examples (1.7 MB each) and checkpoints, outside the repository",
    )
    parser.add_argument(
        "--studies",
        type=Path,
        metavar="DIR",
        help="learn on with annotated studies: images, and Segmentations (DICOM SEG) beside them",
    )
    parser.add_argument(
        "--examples",
        type=int,
        help=f"phantom slices to learn from (default: {_EXAMPLES}; with --studies: none)",
    )
    parser.add_argument(
        "--steps",
        type=int,
        help="steps in all, over every resume (default: 8000; with --studies: 1000)",
    )
    parser.add_argument(
        "--start-from",
        type=Path,
        metavar="WEIGHTS",
        help="go on from trained weights (with --studies by default: those that ship)",
    )
    parser.add_argument("--config", type=Path, help="for the reading of --studies")
    parser.add_argument("--seed", type=int, default=0, help="of weights and randomisation")
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--processes", type=int, default=1, help="that make examples")
    parser.add_argument("--every", type=int, default=250, help="steps between checkpoints")


def run(arguments: argparse.Namespace) -> int:
    """Make the missing examples, learn, and write the weights into the work folder."""
    import torch

    from node.log_setup import set_up_logging
    from node.training import learn
    from node.weights import write_weights
    from pipeline.training.learn import Learner, LearningSettings

    set_up_logging("INFO")
    own = arguments.studies is not None
    steps = arguments.steps if arguments.steps is not None else (1000 if own else 8000)
    if min(steps, arguments.every, arguments.processes) < 1:
        raise UsageError("--steps, --every and --processes must be at least 1")
    name = arguments.device
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    arguments.work.mkdir(parents=True, exist_ok=True)
    batches = _batches(arguments, device)
    settings = LearningSettings(seed=arguments.seed, steps=steps)
    if own:
        settings = replace(settings, learning_rate=_FINE_LEARNING_RATE)
    learner = Learner(settings, device)
    checkpoint = arguments.work / f"{arguments.stage}.checkpoint.pt"
    if checkpoint.exists():
        learner.resume(torch.load(checkpoint, map_location=device, weights_only=True))
        print(f"going on after step {learner.step}")
    elif own or arguments.start_from is not None:
        _start(learner, arguments)
    learn(learner, batches, steps, arguments.every, checkpoint)
    weights = arguments.work / f"{arguments.stage}.safetensors"
    trained = learner.averaged if own else _expecting(learner, arguments, device)
    checksum = write_weights(trained, weights)
    print(f"{weights}\nsha256 {checksum}")
    return 0


def _start(learner: "Learner", arguments: argparse.Namespace) -> None:
    """Begin with the weights that were asked for, or those that ship."""
    from node.weights import packaged_weights, read_weights

    given = arguments.start_from
    weights = packaged_weights(arguments.stage) if given is None else read_weights(given)
    try:
        learner.start_from(weights)
    except RuntimeError as error:
        raise WeightsError("the weights to start from are another network's") from error


def _expecting(
    learner: "Learner", arguments: argparse.Namespace, device: "torch.device"
) -> "dict[str, torch.Tensor]":
    """Let the network learn, from phantoms it was never shown, what to expect of itself."""
    from node.training import Store, make_examples
    from pipeline.training.examples import FIRST_EXPECTATION_SEED

    unseen = make_examples(
        arguments.work / "examples",
        max((arguments.examples or _EXAMPLES) // 10, 1),
        arguments.processes,
        FIRST_EXPECTATION_SEED,
    )
    return learner.expecting(*Store(unseen, device).all())


def _batches(arguments: argparse.Namespace, device: "torch.device") -> "Batches":
    """Make or find the examples: of the phantom, of the site, or of both in equal parts."""
    from node.annotated import annotated_examples
    from node.config import load_config
    from node.training import Mixed, Store, make_examples, save_examples

    own = arguments.studies is not None
    count = arguments.examples if arguments.examples is not None else (0 if own else _EXAMPLES)
    if count < (0 if own else 1):
        raise UsageError("--examples must be at least 1, with --studies at least 0")
    stores = []
    if count:
        shards = make_examples(arguments.work / "examples", count, arguments.processes)
        stores.append(Store(shards, device))
    if own:
        analysis = load_config(arguments.config).analysis
        made = [example for _, example in annotated_examples(arguments.studies, analysis)]
        save_examples(made, arguments.work / "annotated.npz")
        print(f"{len(made)} annotated slices")
        stores.append(Store([arguments.work / "annotated.npz"], device))
    return Mixed(stores)
