"""Training on this machine: files, checkpoints and progress; the learning is the pipeline's."""

import logging
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from rich.progress import track
from torch import Tensor

from pipeline.training.examples import FIRST_TRAINING_SEED, Example, example
from pipeline.training.learn import Learner

_log = logging.getLogger(__name__)

_SHARD = 50
"""Examples a file."""


class Store:
    """All examples in memory; which ones a step sees depends on its number only."""

    def __init__(self, shards: list[Path], device: torch.device) -> None:
        parts: dict[str, list[Tensor]] = {"frames": [], "shares": [], "heat": []}
        for path in shards:
            with np.load(path, allow_pickle=False) as content:
                for key, tensors in parts.items():
                    tensors.append(torch.from_numpy(content[key]))
        self._tensors = [torch.cat(tensors).to(device) for tensors in parts.values()]

    def all(self) -> list[Tensor]:
        """Frames, shares and heat of every example."""
        return self._tensors

    def batch(self, step: int, size: int, seed: int) -> list[Tensor]:
        """Draw the examples of one step."""
        draw = np.random.default_rng((seed, step))
        chosen = torch.from_numpy(draw.integers(len(self._tensors[0]), size=size))
        return [tensor[chosen.to(tensor.device)] for tensor in self._tensors]


class Batches(Protocol):
    """Where a step gets its examples from."""

    def batch(self, step: int, size: int, seed: int) -> list[Tensor]:
        """Draw the examples of one step."""


class Mixed:
    """Several stores in equal parts, however many examples each has."""

    def __init__(self, stores: Sequence[Batches]) -> None:
        self._stores = stores

    def batch(self, step: int, size: int, seed: int) -> list[Tensor]:
        """Draw the examples of one step."""
        count = len(self._stores)
        sizes = [size // count + (number < size % count) for number in range(count)]
        parts = [
            store.batch(step, some, seed) for store, some in zip(self._stores, sizes, strict=True)
        ]
        return [torch.cat(tensors) for tensors in zip(*parts, strict=True)]


def make_examples(
    folder: Path, count: int, processes: int, first: int = FIRST_TRAINING_SEED
) -> list[Path]:
    """Make the shards that are missing and return all."""
    folder.mkdir(parents=True, exist_ok=True)
    seeds = range(first, first + count, _SHARD)
    shards = [folder / f"{seed:08d}.npz" for seed in seeds]
    missing = [(seed, path) for seed, path in zip(seeds, shards, strict=True) if not path.exists()]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting = [pool.submit(_make_shard, seed, path) for seed, path in missing]
        for _ in track(as_completed(waiting), "examples", total=len(waiting)):
            pass
        for made in waiting:
            made.result()
    return shards


def _make_shard(first_seed: int, path: Path) -> None:
    """Simulate one file of examples."""
    torch.set_num_threads(1)
    save_examples([example(seed) for seed in range(first_seed, first_seed + _SHARD)], path)


def save_examples(made: Sequence[Example], path: Path) -> None:
    """Write one file of examples; a file that exists is whole."""
    unfinished = path.with_suffix(".unfinished")
    with unfinished.open("wb") as stream:
        np.savez(
            stream,
            frames=np.stack([one.frames for one in made]),
            shares=np.stack([one.shares for one in made]),
            heat=np.stack([one.heat for one in made]),
        )
    unfinished.replace(path)


def learn(learner: Learner, store: Batches, steps: int, every: int, checkpoint: Path) -> None:
    """Step on to `steps`, with a line and a checkpoint every so many."""
    settings = learner.settings
    losses: list[float] = []
    remaining = range(learner.step, steps)
    for step in track(remaining, "learning", total=len(remaining)):
        losses.append(learner.learn(*store.batch(step, settings.batch_size, settings.seed)))
        if learner.step % every == 0 or learner.step == steps:
            _log.info("step %d: mean loss %.4f", learner.step, np.mean(losses))
            losses.clear()
            unfinished = checkpoint.with_suffix(".unfinished")
            torch.save(learner.state(), unfinished)
            unfinished.replace(checkpoint)
