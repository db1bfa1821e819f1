"""Which kinetic models can be fitted, over which parameters, and what is known beforehand."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from torch import Tensor

from pipeline.errors import InvalidStudyError
from pipeline.kinetics import fermi
from pipeline.units import impulse_response_at_zero_per_s

ImpulseResponse = Callable[[Tensor, Tensor], Tensor]
"""Lags [s] [lag] and parameters [curve, parameter] (without the delay) to h [1/s] [curve, lag]."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A positive quantity, fitted as its logarithm, with a log-normal prior and hard bounds."""

    name: str
    median: float
    spread: float
    """Standard deviation of the logarithm."""
    lowest: float
    highest: float


@dataclass(frozen=True, kw_only=True)
class Delay:
    """Arrival in the tissue after the input function [s], with a normal prior and hard bounds."""

    mean_s: float = 1.0
    spread_s: float = 1.0
    lowest_s: float = -0.5
    highest_s: float = 5.0


@dataclass(frozen=True, kw_only=True)
class Model:
    """A kinetic model ready for fitting."""

    name: str
    impulse_response: ImpulseResponse
    parameters: tuple[Parameter, ...]
    """The first is the flow h(0) [1/s]."""
    delay: Delay
    first_pass_only: bool
    """The model does not describe the tissue after the first pass."""


_FLOW: Final = Parameter(
    name="flow_per_s",
    median=impulse_response_at_zero_per_s(1.5),
    spread=2.0,
    lowest=impulse_response_at_zero_per_s(0.02),
    highest=impulse_response_at_zero_per_s(10.0),
)
"""So wide a prior that it only keeps a curve without signal from wandering off."""


def _fermi(lag_s: Tensor, parameters: Tensor) -> Tensor:
    flow, shoulder, steepness = parameters.unbind(1)
    return fermi.impulse_response(lag_s, flow, shoulder, steepness)


FERMI: Final = Model(
    name="fermi",
    impulse_response=_fermi,
    parameters=(
        _FLOW,
        Parameter(name="shoulder_s", median=3.0, spread=0.8, lowest=0.05, highest=20.0),
        Parameter(name="steepness_per_s", median=0.3, spread=0.8, lowest=0.02, highest=5.0),
    ),
    delay=Delay(),
    first_pass_only=True,
)

MODELS: Final[Mapping[str, Model]] = {model.name: model for model in (FERMI,)}


def model_named(name: str) -> Model:
    """Look a model up.

    Raises
    ------
    InvalidStudyError
        There is no model of that name.
    """
    try:
        return MODELS[name]
    except KeyError:
        known = ", ".join(MODELS)
        raise InvalidStudyError(f"no kinetic model '{name}'; there are {known}") from None
