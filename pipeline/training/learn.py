"""One step of training after another: pure, seeded, and resumable from its own state."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional

from pipeline.networks import CLASSES, SpaceTimeUNet
from pipeline.training.appearance import Batch, Randomiser

_HEAT_WEIGHT = 5.0
"""Insertion points fill few pixels."""
_COOLING = 0.4
_AVERAGING_STEPS = 200
"""Memory of the averaged weights, which are the ones to use."""


@dataclass(frozen=True, kw_only=True)
class LearningSettings:
    """What may be chosen about training."""

    seed: int = 0
    learning_rate: float = 2e-3
    warm_up_steps: int = 100
    steps: int = 8000
    """In all; over the last `_COOLING` of them the learning rate falls to nothing."""
    batch_size: int = 16


class Learner:
    """Network, optimiser and random generator, which together resume exactly."""

    def __init__(self, settings: LearningSettings, device: torch.device) -> None:
        self.settings = settings
        self.step = 0
        torch.manual_seed(settings.seed)
        self.network = SpaceTimeUNet().to(device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # untyped
        self.averaged = {name: value.clone() for name, value in self.network.state_dict().items()}
        self._optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=settings.learning_rate, weight_decay=1e-4
        )
        self._generator = Generator(device=device).manual_seed(settings.seed)
        self._randomise = Randomiser(self._generator)

    def learn(self, frames: Tensor, shares: Tensor, heat: Tensor) -> float:
        """Take one step on randomised examples and return the loss."""
        batch = self._randomise(frames, shares, heat)
        for group in self._optimiser.param_groups:
            group["lr"] = self.settings.learning_rate * self._pace()
        with torch.autocast(frames.device.type, torch.bfloat16):
            logits = self.network(batch.series.contiguous(memory_format=torch.channels_last))
        value = loss(logits.float(), batch)
        if not math.isfinite(value.item()):
            raise FloatingPointError(f"the loss of step {self.step} is not finite")
        self._optimiser.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]  # torch has no types here
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._optimiser.step()
        self._average()
        self.step += 1
        return value.item()

    def start_from(self, weights: Mapping[str, Tensor]) -> None:
        """Begin with trained weights; raises RuntimeError where they are another network's."""
        self.network.load_state_dict(dict(weights))
        self.averaged = {name: value.clone() for name, value in self.network.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """Everything that is needed to go on."""
        return {
            "step": self.step,
            "network": self.network.state_dict(),
            "averaged": self.averaged,
            "optimiser": self._optimiser.state_dict(),
            "generator": self._generator.get_state(),
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from `state`."""
        self.step = int(state["step"])
        self.network.load_state_dict(state["network"])
        self.averaged = dict(state["averaged"])
        self._optimiser.load_state_dict(state["optimiser"])
        self._generator.set_state(state["generator"].cpu())

    def _pace(self) -> float:
        """Share of the learning rate: up at the start, down at the end."""
        warm = min(1.0, (self.step + 1) / self.settings.warm_up_steps)
        left = (1 - self.step / self.settings.steps) / _COOLING
        return warm * 0.5 * (1 - math.cos(math.pi * min(1.0, max(left, 0.01))))

    @torch.no_grad()
    def _average(self) -> None:
        share = min(1 - 1 / _AVERAGING_STEPS, (self.step + 1) / (self.step + 10))
        for name, value in self.network.state_dict().items():
            self.averaged[name].lerp_(value, 1 - share)


def loss(logits: Tensor, batch: Batch) -> Tensor:
    """Cross entropy, soft Dice of the three regions, and distance to the points' heat."""
    classes, heat = logits[:, : len(CLASSES)], logits[:, len(CLASSES)]
    entropy = functional.cross_entropy(classes, batch.classes)
    shares, truth = classes.softmax(dim=1)[:, 1:], batch.classes[:, 1:]
    shared = (shares * truth).sum(dim=(0, 2, 3))
    overlap = (2 * shared + 1) / ((shares**2 + truth**2).sum(dim=(0, 2, 3)) + 1)
    near = functional.binary_cross_entropy_with_logits(
        heat, batch.heat.clamp_min(0), weight=(batch.heat >= 0).float()
    )
    return entropy + (1 - overlap).mean() + _HEAT_WEIGHT * near
