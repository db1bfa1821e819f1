"""From concentration curves to blood flow, its standard deviation and a status for each curve."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.fit import solver
from pipeline.fit.convolution import Convolution
from pipeline.fit.models import Model, model_named
from pipeline.result import FitStatus, InputFunction
from pipeline.study import BoolArray, FloatArray, IntArray
from pipeline.units import flow_ml_min_g

BATCH = 2048
"""Curves that are fitted together: more would leave the cache, fewer would not fill it."""

TOO_NOISY_SHARE = 0.5
"""A flow whose standard deviation exceeds this share of it is not a measurement."""

OUTLIER_SCORE = 3.5
"""Modified z-score of a residual above which a frame is left out (Iglewicz and Hoaglin 1993)."""

_NOISE_START_SHARE = 0.05
"""Noise that the first fit assumes, as share of the curve's height; then it is measured."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FlowFit:
    """Fits of many curves; NaN where `status` says not fitted or failed."""

    mbf_ml_min_g: FloatArray
    """[curve]."""
    mbf_sd_ml_min_g: FloatArray
    """[curve]."""
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
    model: str = "fermi",
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
        A name of `pipeline.fit.models.MODELS`.

    Raises
    ------
    InvalidStudyError
        There is no model of that name.
    """
    kinetic = model_named(model)
    usable = np.asarray(np.isfinite(curves_mmol_l).all(axis=1))
    weight = _sample_weight(time_s, input_function, kinetic, frame_weight)
    convolution = Convolution(input_function.time_s, input_function.concentration_mmol_l, time_s)
    data = torch.as_tensor(curves_mmol_l[usable], dtype=torch.float64)
    parts = [
        _fit_batch(solver.Problem(kinetic, convolution, batch), weight)
        for batch in torch.split(data, BATCH)
        if batch.numel()
    ]
    return _assemble(kinetic, usable, curves_mmol_l.shape, parts)


def _sample_weight(
    time_s: FloatArray,
    input_function: InputFunction,
    model: Model,
    frame_weight: FloatArray | None,
) -> Tensor:
    """Which samples the model is fitted to [time]."""
    weight = np.ones_like(time_s) if frame_weight is None else np.asarray(frame_weight, float)
    if model.first_pass_only:
        weight = np.where(time_s <= input_function.first_pass_end_s, weight, 0.0)
    return torch.as_tensor(weight, dtype=torch.float64)


@dataclass(frozen=True, kw_only=True, eq=False)
class _BatchFit:
    position: Tensor
    sd_log_flow: Tensor
    at_bound: Tensor
    fitted: Tensor


def _fit_batch(problem: solver.Problem, frame_weight: Tensor) -> _BatchFit:
    """Fit with an assumed noise, measure the noise, drop outliers, fit again."""
    height = (problem.data.abs() * (frame_weight > 0.0)).amax(dim=1).clamp(min=1e-3)
    weight = frame_weight / (_NOISE_START_SHARE * height[:, None]) ** 2
    first = solver.solve(problem, _start(problem, frame_weight), weight)
    weight = _measured_weight(problem, first.position, frame_weight)
    second = solver.solve(problem, first.position, weight)
    sd_log_flow = solver.covariance(problem, second.position, weight)[:, 0, 0].sqrt()
    near = 1e-3 * problem.prior_spread
    at_bound = (second.position < problem.lowest + near) | (
        second.position > problem.highest - near
    )
    return _BatchFit(
        position=second.position,
        sd_log_flow=sd_log_flow,
        at_bound=at_bound[:, [0, -1]].any(dim=1),
        fitted=problem.curves(second.position),
    )


def _start(problem: solver.Problem, frame_weight: Tensor) -> Tensor:
    """Best of a few delays with all else at the prior's median; the flow by projection."""
    mean = problem.prior_mean
    delays = torch.arange(0.0, 3.6, 0.5, dtype=mean.dtype)
    atoms = mean.repeat(delays.numel(), 1)
    atoms[:, -1] = delays
    curves = problem.curves(atoms)
    overlap = (problem.data * frame_weight) @ curves.T
    norm = (frame_weight * curves**2).sum(dim=1).clamp(min=1e-12)
    scale = (overlap / norm).clamp(min=1e-3)
    best = (scale * (2.0 * overlap - scale * norm)).argmax(dim=1)
    start = atoms[best]
    start[:, 0] += scale.gather(1, best[:, None]).squeeze(1).log()
    return start


def _measured_weight(problem: solver.Problem, position: Tensor, frame_weight: Tensor) -> Tensor:
    """Inverse variance of each sample from the residuals; 0 for outlier frames."""
    residual = problem.data - problem.curves(position)
    used = frame_weight > 0.0
    spread = residual[:, used].abs().median(dim=1).values / 0.6745
    kept = frame_weight * (residual.abs() <= OUTLIER_SCORE * spread[:, None])
    freedom = (kept.sum(dim=1) - position.shape[1]).clamp(min=1.0)
    variance = (kept * residual**2).sum(dim=1) / freedom
    return kept / variance.clamp(min=1e-12)[:, None]


def _assemble(
    model: Model, usable: BoolArray, shape: tuple[int, ...], parts: list[_BatchFit]
) -> FlowFit:
    names = [parameter.name for parameter in model.parameters]
    columns = {name: np.full(shape[0], np.nan) for name in (*names, "delay_s", "sd_log_flow")}
    status = np.full(shape[0], FitStatus.NOT_FITTED.value)
    fitted = np.full(shape, np.nan)
    if parts:
        position = torch.cat([part.position for part in parts])
        for index, name in enumerate(names):
            columns[name][usable] = position[:, index].exp().numpy()
        columns["delay_s"][usable] = position[:, -1].numpy()
        columns["sd_log_flow"][usable] = torch.cat([part.sd_log_flow for part in parts]).numpy()
        fitted[usable] = torch.cat([part.fitted for part in parts]).numpy()
        at_bound = torch.cat([part.at_bound for part in parts]).numpy()
        status[usable] = _status(columns["sd_log_flow"][usable], at_bound)
    mbf = flow_ml_min_g(1.0) * columns[names[0]]
    return FlowFit(
        mbf_ml_min_g=mbf,
        mbf_sd_ml_min_g=mbf * columns["sd_log_flow"],
        delay_s=columns["delay_s"],
        status=status,
        fitted_mmol_l=fitted,
        parameters={name: columns[name] for name in names[1:]},
    )


def _status(sd_log_flow: FloatArray, at_bound: BoolArray) -> IntArray:
    status = np.full(sd_log_flow.shape, FitStatus.CONVERGED.value)
    status[at_bound] = FitStatus.AT_BOUND.value
    status[sd_log_flow > TOO_NOISY_SHARE] = FitStatus.TOO_NOISY.value
    status[~np.isfinite(sd_log_flow)] = FitStatus.FAILED.value
    return status
