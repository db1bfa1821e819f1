"""From concentration curves to blood flow, its standard deviation and a status for each curve."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from pipeline.fit import model_free
from pipeline.fit.batch import BatchFit, Fitter
from pipeline.fit.convolution import DTYPE, Convolution
from pipeline.fit.models import USUAL_FLOW_ML_MIN_G, Model, Prior, model_named
from pipeline.fit.parametric import Parametric
from pipeline.result import FitStatus, InputFunction
from pipeline.study import BoolArray, FloatArray, IntArray, State
from pipeline.threads import one_thread
from pipeline.units import flow_ml_min_g

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
    """Of noise in the curve and of the model, given that the input function is right [curve]."""
    mbf_model_sd_ml_min_g: FloatArray
    """The part of it that all curves of a heart have in common, because it is no capillary
    [curve]."""
    delay_s: FloatArray
    """Arrival in the tissue after the input function [curve]."""
    status: IntArray
    """`FitStatus` values [curve]."""
    fitted_mmol_l: FloatArray
    """The fitted curves at all times [curve, time]."""
    parameters: Mapping[str, FloatArray]
    """The other parameters by name, each [curve]."""
    posterior: "Posterior | None" = None
    """None for deconvolution without a model."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Posterior:
    """What is known of the parameters of each curve after the fit, by Laplace's approximation."""

    position: FloatArray
    """Logarithms of flow and parameters, then the delay [s], [curve, parameter + 1]."""
    precision: FloatArray
    """Inverse covariance of the position, `prior` included, [curve, parameter + 1, same]."""
    noise_share: FloatArray
    """Standard deviation of the noise over the height of the curve [curve]."""
    prior: Prior
    """What was known before."""


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
    usable = np.asarray(np.isfinite(curves_mmol_l).all(axis=1))
    data = torch.as_tensor(curves_mmol_l[usable], dtype=DTYPE)
    fitter: Fitter
    with one_thread():
        if kinetic is None:
            prior, fitter = None, model_free.ModelFree(used, inside, everywhere)
        else:
            prior = prior or kinetic.prior
            fitter = Parametric(kinetic, prior, haematocrit, used, inside, everywhere)
        fit = fitter.fit(data)
    error = 0.0 if kinetic is None else kinetic.error
    return _assemble(usable, curves_mmol_l.shape, fit, prior, error)


def model_in(state: State, model: str) -> str | Model:
    """Return a model that expects the flow usual in this state; ``model-free`` expects nothing.

    Raises
    ------
    InvalidStudyError
        There is no model of that name.
    """
    if model == model_free.NAME:
        return model
    return model_named(model).expecting(USUAL_FLOW_ML_MIN_G[state])


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


def _assemble(
    usable: BoolArray,
    shape: tuple[int, ...],
    fit: BatchFit,
    prior: Prior | None,
    model_error: float,
) -> FlowFit:
    """Put the curves that were not fitted back in."""

    def filled(values: torch.Tensor, empty: float = np.nan) -> FloatArray:
        everywhere = np.full((shape[0], *values.shape[1:]), empty)
        everywhere[usable] = values.numpy()
        return everywhere

    flow_per_s = filled(fit.flow_per_s)
    to_flow = flow_ml_min_g(1.0)
    of_model = model_error * to_flow * flow_per_s
    return FlowFit(
        mbf_ml_min_g=to_flow * flow_per_s,
        flow_per_s=flow_per_s,
        mbf_sd_ml_min_g=np.hypot(to_flow * filled(fit.flow_sd_per_s), of_model),
        mbf_model_sd_ml_min_g=of_model,
        delay_s=filled(fit.delay_s),
        status=filled(fit.status, FitStatus.NOT_FITTED.value).astype(int),
        fitted_mmol_l=filled(fit.fitted),
        parameters={name: filled(values) for name, values in fit.parameters.items()},
        posterior=None
        if prior is None
        else Posterior(
            position=filled(fit.position),
            precision=filled(fit.precision),
            noise_share=filled(fit.noise_share),
            prior=prior,
        ),
    )
