"""`perfusion-node train`: train a network on the phantom, or on with a site's own studies."""

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING

from node.errors import UsageError, WeightsError

if TYPE_CHECKING:
    import torch

    from node.training import Batches
    from pipeline.training.learn import Learner

HELP = "train a network on the phantom, or on with a site's own studies; goes on where it stopped"

STAGES = ("segment", "expectation")
_EXAMPLES = 1500
_FOREIGN = "the weights to start from are another network's"
_FINE_LEARNING_RATE = 2e-4
"""A tenth of the usual: a site has few studies, and what was learned before is to stay."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument(
        "stage",
        choices=STAGES,
        help="segment: outlining the heart, with what to expect of the outlines learned last; "
        "expectation: only that, for the weights of --start-from",
    )
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
    if arguments.stage == "expectation":
        if own:
            raise UsageError("what to expect is learned from phantoms, not from --studies")
        return _write(_expecting(_given(arguments), arguments, device), arguments)
    batches = _batches(arguments, device)
    settings = LearningSettings(seed=arguments.seed, steps=steps)
    if own:
        settings = replace(settings, learning_rate=_FINE_LEARNING_RATE)
    learner = Learner(settings, device)
    checkpoint = arguments.work / f"{arguments.stage}.checkpoint.pt"
    if checkpoint.exists():
        _resume(learner, checkpoint, device)
    elif own or arguments.start_from is not None:
        _start(learner, arguments)
    learn(learner, batches, steps, arguments.every, checkpoint)
    trained = learner.averaged
    return _write(trained if own else _expecting(trained, arguments, device), arguments)


def _write(weights: "Mapping[str, torch.Tensor]", arguments: argparse.Namespace) -> int:
    """Write weights by the name of the stage."""
    from node.weights import write_weights

    path = arguments.work / f"{arguments.stage}.safetensors"
    print(f"{path}\nsha256 {write_weights(weights, path)}")
    return 0


def _given(arguments: argparse.Namespace) -> "dict[str, torch.Tensor]":
    """Read the weights that were asked for, or those that ship."""
    from node.weights import packaged_weights, read_weights

    given = arguments.start_from
    return packaged_weights("segment") if given is None else read_weights(given)


def _resume(learner: "Learner", checkpoint: Path, device: "torch.device") -> None:
    import torch

    try:
        learner.resume(torch.load(checkpoint, map_location=device, weights_only=True))
    except (RuntimeError, LookupError, EOFError, UnpicklingError) as error:
        raise WeightsError(
            f"{checkpoint.name} is damaged or of another version's network: choose another --work"
        ) from error
    print(f"going on after step {learner.step}")


def _start(learner: "Learner", arguments: argparse.Namespace) -> None:
    try:
        learner.start_from(_given(arguments))
    except RuntimeError as error:
        raise WeightsError(
            f"{_FOREIGN}; if an earlier version trained them, `train expectation` comes first"
        ) from error


def _expecting(
    trained: "Mapping[str, torch.Tensor]", arguments: argparse.Namespace, device: "torch.device"
) -> "dict[str, torch.Tensor]":
    """Let weights learn, from phantoms they were never shown, what to expect of themselves."""
    from node.training import Store, make_examples
    from pipeline.training.examples import FIRST_EXPECTATION_SEED
    from pipeline.training.expectation import EXPECTATION, fit_expectation, without_expectation

    try:
        network = without_expectation(trained).to(device)
    except RuntimeError as error:
        raise WeightsError(_FOREIGN) from error
    unseen = make_examples(
        arguments.work / "examples",
        max((arguments.examples or _EXAMPLES) // 10, 1),
        arguments.processes,
        FIRST_EXPECTATION_SEED,
    )
    frames, shares, heat = Store(unseen, device).all()
    lines = fit_expectation(network, frames, shares, heat, arguments.seed)
    return {**trained, EXPECTATION: lines}


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
