"""From concentration curves to blood flow, its standard deviation and a status for each curve."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from pipeline.fit import model_free
from pipeline.fit.batch import BatchFit, Fitter
from pipeline.fit.convolution import DTYPE, Convolution
from pipeline.fit.models import Model, Prior, model_named
from pipeline.fit.parametric import Parametric
from pipeline.result import FitStatus, InputFunction
from pipeline.study import BoolArray, FloatArray, IntArray
from pipeline.units import flow_ml_min_g

BATCH = 512
"""Curves that are fitted together: more would leave the cache, fewer would not fill it."""

_BEFORE_ARRIVAL_S = 2.0
"""Frames that are fitted although they show no contrast agent yet: they pin the delay."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FlowFit:
    """Fits of many curves; NaN where `status` says not fitted or failed."""

    mbf_ml_min_g: FloatArray
    """[curve]."""
    flow_per_s: FloatArray
    """The same as h(0), per volume of tissue [curve]."""
    mbf_sd_ml_min_g: FloatArray
    """Of noise in the curve, given that model and input function are right, [curve]."""
    delay_s: FloatArray
    """Arrival in the tissue after the input function [curve]."""
    status: IntArray
    """`FitStatus` values [curve]."""
    fitted_mmol_l: FloatArray
    """The fitted curves at all times [curve, time]."""
    parameters: Mapping[str, FloatArray]
    """The other parameters by name, each [curve]."""


def fit_flow(
    curves_mmol_l: FloatArray,
    time_s: FloatArray,
    input_function: InputFunction,
    *,
    frame_weight: FloatArray | None = None,
    model: str | Model = "btex",
    haematocrit: float = 0.42,
    prior: Prior | None = None,
) -> FlowFit:
    """Fit `model` to tissue curves.

    Parameters
    ----------
    curves_mmol_l
        Concentration in tissue [curve, time]; rows with NaN are not fitted.
    time_s
        Acquisition times of this slice, same origin as the input function's [time].
    input_function
        Concentration in arterial whole blood.
    frame_weight
        1 for frames that may be used, 0 for others [time].
    model
        A name of `pipeline.fit.models.MODELS`, ``model-free``, or a model.
    haematocrit
        The agent stays out of the red cells: exchange models see plasma.
    prior
        What is known of the parameters beforehand; None: what is known of people in general.

    Raises
    ------
    InvalidStudyError
        There is no model of that name.
    """
    kinetic = None if model == model_free.NAME else model_named(model)
    longest_s = model_free.AFTER_FIRST_PASS_S if kinetic is None else kinetic.after_first_pass_s
    window = _window(time_s, input_function, longest_s, frame_weight)
    inside, everywhere = (Convolution(input_function, time) for time in (time_s[window], time_s))
    used = torch.as_tensor(window)
    fitter: Fitter
    if kinetic is None:
        fitter = model_free.ModelFree(used, inside, everywhere)
    else:
        fitter = Parametric(kinetic, prior or kinetic.prior, haematocrit, used, inside, everywhere)
    usable = np.asarray(np.isfinite(curves_mmol_l).all(axis=1))
    data = torch.as_tensor(curves_mmol_l[usable], dtype=DTYPE)
    parts = [fitter.fit(batch) for batch in torch.split(data, BATCH) if batch.numel()]
    return _assemble(usable, curves_mmol_l.shape, parts)


def _window(
    time_s: FloatArray,
    input_function: InputFunction,
    after_first_pass_s: float,
    frame_weight: FloatArray | None,
) -> BoolArray:
    """Which frames are fitted [time]: from just before the bolus on, as long as the model holds."""
    window = (time_s >= input_function.arrival_s - _BEFORE_ARRIVAL_S) & (
        time_s <= input_function.first_pass_end_s + after_first_pass_s
    )
    if frame_weight is not None:
        window &= np.asarray(frame_weight) > 0.0
    return window


def _assemble(usable: BoolArray, shape: tuple[int, ...], parts: list[BatchFit]) -> FlowFit:
    """Put the batches together and the curves that were not fitted back in."""

    def column(values: list[torch.Tensor]) -> FloatArray:
        filled = np.full(shape[:1], np.nan)
        if values:
            filled[usable] = torch.cat(values).numpy()
        return filled

    status = np.full(shape[0], FitStatus.NOT_FITTED.value)
    fitted = np.full(shape, np.nan)
    if parts:
        status[usable] = torch.cat([part.status for part in parts]).numpy()
        fitted[usable] = torch.cat([part.fitted for part in parts]).numpy()
    flow_per_s = column([part.flow_per_s for part in parts])
    to_flow = flow_ml_min_g(1.0)
    return FlowFit(
        mbf_ml_min_g=to_flow * flow_per_s,
        flow_per_s=flow_per_s,
        mbf_sd_ml_min_g=to_flow * column([part.flow_sd_per_s for part in parts]),
        delay_s=column([part.delay_s for part in parts]),
        status=status,
        fitted_mmol_l=fitted,
        parameters={
            name: column([part.parameters[name] for part in parts])
            for name in (parts[0].parameters if parts else ())
        },
    )
