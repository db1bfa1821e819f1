"""Models of dynamic contrast-enhanced MRI elsewhere in the body.

They have no blood flow in the heart's sense and are not offered for the heart; with them the fit is
held against the reference cases of the Open Science Initiative for Perfusion Imaging (OSIPI).
Priors are so wide that a factor of four costs less than one standard deviation.
"""

from dataclasses import replace
from typing import Final

from torch import Tensor

from pipeline.fit.convolution import fronts
from pipeline.fit.models import TWO_COMPARTMENT, Delay, Model, Parameter
from pipeline.kinetics import exchange

_WIDE: Final = 1.5
_DELAY: Final = Delay(mean_s=2.5, spread_s=4.0, lowest_s=-0.9, highest_s=10.0)


def _rate(name: str) -> Parameter:
    return Parameter(
        name=name, median=2e-3, spread=_WIDE, local_spread=_WIDE, lowest=1e-7, highest=0.02
    )


def _volume(name: str) -> Parameter:
    return Parameter(
        name=name, median=0.1, spread=_WIDE, local_spread=_WIDE, lowest=1e-3, highest=1.0
    )


def _uptake(time_s: Tensor, parameters: Tensor, haematocrit: float) -> Tensor:
    del haematocrit  # the reference cases give plasma
    flow, ps, plasma = parameters.unbind(1)
    response = exchange.two_compartment_uptake(time_s.clamp(min=0.0), flow, ps, plasma)
    return response * fronts(time_s)[0]


def _tofts(time_s: Tensor, parameters: Tensor, haematocrit: float) -> Tensor:
    del haematocrit
    response = exchange.tofts(time_s.clamp(min=0.0), *parameters[:, :2].unbind(1))
    return response * fronts(time_s)[0]


def _patlak(time_s: Tensor, parameters: Tensor, haematocrit: float) -> Tensor:
    del haematocrit
    return parameters[:, :1] * fronts(time_s)[0]


EXCHANGE: Final = replace(
    TWO_COMPARTMENT,
    parameters=(
        _rate("flow_per_s"),
        _rate("ps_per_s"),
        _volume("blood_volume"),
        _volume("interstitium"),
    ),
    delay=_DELAY,
    n_searches=8,
)
UPTAKE: Final = Model(
    name="2cum",
    response=_uptake,
    parameters=(_rate("flow_per_s"), _rate("ps_per_s"), _volume("plasma")),
    delay=_DELAY,
    n_searches=8,
    after_first_pass_s=0.0,
)
TOFTS: Final = Model(
    name="tofts",
    response=_tofts,
    parameters=(_rate("transfer_per_s"), _volume("interstitium")),
    delay=_DELAY,
    n_searches=8,
    after_first_pass_s=0.0,
)
EXTENDED_TOFTS: Final = Model(
    name="extended-tofts",
    response=_tofts,
    parameters=(*TOFTS.parameters, _volume("plasma")),
    delay=_DELAY,
    n_searches=8,
    after_first_pass_s=0.0,
    vascular="plasma",
)
PATLAK: Final = Model(
    name="patlak",
    response=_patlak,
    parameters=(_rate("ps_per_s"), _volume("plasma")),
    delay=_DELAY,
    n_searches=8,
    after_first_pass_s=0.0,
    vascular="plasma",
)
