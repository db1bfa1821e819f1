"""Which kinetic models can be fitted, over which parameters, and what is known beforehand."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from pipeline.errors import InvalidStudyError
from pipeline.fit.convolution import STEP_S, fronts
from pipeline.kinetics import btex, exchange, fermi
from pipeline.study import State
from pipeline.units import impulse_response_at_zero_per_s as per_second

Response = Callable[[Tensor, Tensor, float], Tensor]
"""Time after arrival [s] [curve, lag], parameters [curve, parameter] (without the delay) and
haematocrit to the response to whole blood, h [1/s], on the grid of lags [curve, lag]."""

Slopes = Callable[[Tensor, Tensor, float], tuple[Tensor, Tensor]]
"""The same arguments to functions on the grid of lags [curve, function, lag], of which the first is
the response, and to what share each has [curve, slope, function] in the slopes of the response: by
the logarithms of its parameters, in their order, then by the delay [1/s]."""


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A positive quantity, fitted as its logarithm, with a log-normal prior and hard bounds."""

    name: str
    median: float
    spread: float
    """Standard deviation of the logarithm, between people and places together."""
    local_spread: float
    """The part of it between places in one heart, as far as is known before that is learned; a
    parameter for which this is the whole spread is not learned."""
    lowest: float
    highest: float


@dataclass(frozen=True, kw_only=True)
class Delay:
    """Arrival in the tissue after the input function [s], with a normal prior and hard bounds."""

    mean_s: float = 0.9
    spread_s: float = 0.7
    local_spread_s: float = 0.25
    lowest_s: float = -0.5
    highest_s: float = 5.0


@dataclass(frozen=True, kw_only=True)
class Prior:
    """Independent normal distributions of the logarithms of the parameters, then of the delay."""

    mean: tuple[float, ...]
    spread: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A kinetic model ready for fitting."""

    name: str
    response: Response
    parameters: tuple[Parameter, ...]
    """The first is the flow of blood, h(0) [1/s]; `dispersion` and `spill` stand last."""
    delay: Delay
    after_first_pass_s: float
    """How long after the end of the first pass the model still describes the tissue."""
    vascular: str | None = None
    """The parameter that is a volume in instant equilibrium with the input, where there is one."""
    spill: str | None = None
    """The parameter that is the share of cavity blood in the signal, where there is one."""
    dispersion: str | None = None
    """The parameter that is the spread of transit times [s] on the way to the tissue, likewise."""
    slopes: Slopes | None = None
    """None: slopes are taken as differences."""
    error: float = 0.0
    """Relative error of flow, beside that of noise, because a heart is not the model; 0: not
    measured."""
    n_searches: int = 1
    """Starts that are followed to the end: several where no prior leaves a single valley."""

    @property
    def prior(self) -> Prior:
        """What is known of people in general."""
        return Prior(
            mean=(*(math.log(one.median) for one in self.parameters), self.delay.mean_s),
            spread=(*(one.spread for one in self.parameters), self.delay.spread_s),
        )

    def expecting(self, flow_ml_min_g: float) -> "Model":
        """Return the same model where so much flow is usual."""
        flow, *others = self.parameters
        return replace(self, parameters=(replace(flow, median=per_second(flow_ml_min_g)), *others))


USUAL_FLOW_ML_MIN_G: Final = {State.REST: 0.85, State.STRESS: 2.2, State.UNDETERMINED: 1.5}
"""Of people who are examined: 0.82 to 0.85 at rest; under stress 2.9 in healthy people, 2.25 in
those with risk factors and 1.7 in those with coronary disease (positron emission, Gould 2013,
doi 10.1016/j.jacc.2013.07.076)."""

_FLOW: Final = Parameter(
    name="flow_per_s",
    median=per_second(USUAL_FLOW_ML_MIN_G[State.UNDETERMINED]),
    spread=0.7,
    local_spread=0.5,
    lowest=per_second(0.02),
    highest=per_second(12.0),
)
"""Half of the variance lies between people: their mean flows differ by a factor of 1.6 up or down.
The other half lies within a heart, so that a territory with a third of the flow of the others is
two standard deviations off."""


def _fermi(time_s: Tensor, parameters: Tensor, haematocrit: float) -> Tensor:
    del haematocrit  # a vascular response takes whole blood as it is
    flow, shoulder, steepness = parameters.unbind(1)
    response = fermi.impulse_response(time_s.clamp(min=0.0), flow, shoulder, steepness)
    return response * fronts(time_s)[0]


def _exchange(time_s: Tensor, parameters: Tensor, haematocrit: float) -> Tensor:
    flow, ps, blood, interstitium = parameters.unbind(1)
    plasma = 1.0 - haematocrit
    response = exchange.two_compartment_exchange(
        time_s.clamp(min=0.0), flow * plasma, ps, blood * plasma, interstitium
    )
    return response / plasma * fronts(time_s)[0]


def _btex(time_s: Tensor, parameters: Tensor, haematocrit: float) -> Tensor:
    flow, ps, blood, interstitium = parameters[:, :4].unbind(1)
    plasma = 1.0 - haematocrit
    response = btex.impulse_response(
        time_s, STEP_S, fronts, flow * plasma, ps, blood * plasma, interstitium
    )
    return response / plasma


def _btex_slopes(time_s: Tensor, parameters: Tensor, haematocrit: float) -> tuple[Tensor, Tensor]:
    """Response of a capillary with its slopes, from those of the washout by the chain rule."""
    flow, ps, blood, interstitium = parameters[:, :4, None].unbind(1)
    transit = blood / flow
    arrived, arriving = fronts(time_s)
    left = btex.washout(
        time_s - transit, STEP_S, fronts, ps / (flow * (1.0 - haematocrit)), ps / interstitium
    )
    functions = torch.stack(
        [
            arrived.sub_(left.share).mul_(flow),
            left.by_uptake,
            left.by_return,
            left.by_time,
            arriving,
        ],
        dim=1,
    )
    flow, passing, one = flow[:, 0], blood[:, 0], torch.ones_like(flow[:, 0])
    none = torch.zeros_like(flow)
    shares = [
        *(one, flow, none, -passing, none),  # by flow
        *(none, -flow, -flow, none, none),  # by PS
        *(none, none, none, passing, none),  # by blood
        *(none, none, flow, none, none),  # by interstitium
        *(none, none, none, flow, -flow),  # by delay
    ]
    return functions, torch.stack(shares, dim=1).view(-1, 5, 5)


FERMI: Final = Model(
    name="fermi",
    response=_fermi,
    parameters=(
        _FLOW,
        Parameter(
            name="shoulder_s", median=3.0, spread=0.8, local_spread=0.4, lowest=0.05, highest=20.0
        ),
        Parameter(
            name="steepness_per_s",
            median=0.3,
            spread=0.8,
            local_spread=0.4,
            lowest=0.02,
            highest=5.0,
        ),
    ),
    delay=Delay(),
    after_first_pass_s=0.0,
)

_TISSUE: Final = (
    Parameter(
        name="ps_per_s",
        median=per_second(1.15),
        spread=0.3,
        local_spread=0.15,
        lowest=per_second(0.1),
        highest=per_second(6.0),
    ),
    Parameter(
        name="blood_volume", median=0.105, spread=0.2, local_spread=0.12, lowest=0.01, highest=0.4
    ),
    Parameter(
        name="interstitium", median=0.21, spread=0.3, local_spread=0.2, lowest=0.03, highest=0.8
    ),
)
"""Healthy people at rest and under stress: PS 1.09 (SD 0.21) and 1.32 (0.26) mL/min/g, blood volume
0.097 and 0.120, interstitium 0.203 and 0.208 (0.03) mL/g (Xue 2020, doi 10.1002/mrm.27954). The
spreads are wider than theirs, to leave room for disease."""

_SPILL: Final = Parameter(
    name="spill", median=0.006, spread=1.3, local_spread=1.3, lowest=1e-4, highest=0.6
)
"""Blood of the cavity reaches into the wall by blurring and by motion: nothing in most of it, a
tenth and more at its rim. Left out, it is read as a low flow with a large volume of blood."""

_DISPERSION: Final = Parameter(
    name="dispersion_s", median=0.4, spread=0.6, local_spread=0.15, lowest=0.02, highest=1.5
)
"""Between the cavity and the capillaries the bolus becomes wider; left out, that looks like less
flow."""

TWO_COMPARTMENT: Final = Model(
    name="2cxm",
    response=_exchange,
    parameters=(_FLOW, *_TISSUE),
    delay=Delay(),
    after_first_pass_s=30.0,
)

BTEX_ERROR: Final = 0.005
"""Beside the error of shape that every fit reckons with (`pipeline.fit.parametric.SHAPE_ERROR`).
With it 70 to 76 % of the phantom's segments lie within one standard deviation of the truth, without
it 70 to 74 % (`benchmarks.fit`, CNR 10 to 30), and of hearts that are less like the model 40 to
74 %."""

BTEX: Final = Model(
    name="btex",
    response=_btex,
    parameters=(_FLOW, *_TISSUE, _DISPERSION, _SPILL),
    delay=Delay(),
    after_first_pass_s=30.0,
    spill="spill",
    dispersion="dispersion_s",
    slopes=_btex_slopes,
    error=BTEX_ERROR,
)

MODELS: Final[Mapping[str, Model]] = {model.name: model for model in (FERMI, TWO_COMPARTMENT, BTEX)}


def model_named(model: str | Model) -> Model:
    """Look a model up by name; a model is returned as it is.

    Raises
    ------
    InvalidStudyError
        There is no model of that name.
    """
    if isinstance(model, Model):
        return model
    try:
        return MODELS[model]
    except KeyError:
        known = ", ".join(MODELS)
        raise InvalidStudyError(f"no kinetic model '{model}'; there are {known}") from None
