"""From concentration curves to blood flow, its standard deviation and a status for each curve."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.fit import solver
from pipeline.fit.convolution import DTYPE, Convolution
from pipeline.fit.models import Model, Prior, model_named
from pipeline.result import FitStatus, InputFunction
from pipeline.study import BoolArray, FloatArray, IntArray
from pipeline.units import flow_ml_min_g

BATCH = 512
"""Curves that are fitted together: more would leave the cache, fewer would not fill it."""

TOO_NOISY_SHARE = 0.5
"""A flow whose standard deviation exceeds this share of it is not a measurement."""

OUTLIER_SCORE = 3.5
"""Modified z-score of a residual above which a frame is left out (Iglewicz and Hoaglin 1993)."""

LEAST_SIGNAL = 6.0
"""Norm of the fitted curve in standard deviations of the noise; noise alone reaches about 4."""

_NOISE_START_SHARE = 0.05
"""Noise that the first fit assumes, as share of the curve's height; then it is measured."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FlowFit:
    """Fits of many curves; NaN where `status` says not fitted or failed."""

    mbf_ml_min_g: FloatArray
    """[curve]."""
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
        A name of `pipeline.fit.models.MODELS`, or a model.
    haematocrit
        The agent stays out of the red cells: exchange models see plasma.
    prior
        What is known of the parameters beforehand; None: what is known of people in general.

    Raises
    ------
    InvalidStudyError
        There is no model of that name.
    """
    kinetic = model_named(model) if isinstance(model, str) else model
    usable = np.asarray(np.isfinite(curves_mmol_l).all(axis=1))
    window = _window(time_s, input_function, kinetic, frame_weight)
    batches = _Batches(
        model=kinetic,
        prior=prior or kinetic.prior,
        haematocrit=haematocrit,
        window=torch.as_tensor(window),
        inside=Convolution(input_function, time_s[window]),
        everywhere=Convolution(input_function, time_s),
    )
    data = torch.as_tensor(curves_mmol_l[usable], dtype=DTYPE)
    parts = [batches.fit(batch) for batch in torch.split(data, BATCH) if batch.numel()]
    return _assemble(kinetic, usable, curves_mmol_l.shape, parts)


def _window(
    time_s: FloatArray,
    input_function: InputFunction,
    model: Model,
    frame_weight: FloatArray | None,
) -> BoolArray:
    """Which frames are fitted [time]: from just before the bolus on, as long as the model holds."""
    end_s = input_function.first_pass_end_s + model.after_first_pass_s
    window = (time_s >= input_function.arrival_s - 2.0) & (time_s <= end_s)
    if frame_weight is not None:
        window &= np.asarray(frame_weight) > 0.0
    return window


@dataclass(frozen=True, kw_only=True, eq=False)
class _BatchFit:
    position: Tensor
    sd_log_flow: Tensor
    too_noisy: Tensor
    at_bound: Tensor
    fitted: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class _Batches:
    """What all batches of curves share."""

    model: Model
    prior: Prior
    haematocrit: float
    window: Tensor
    inside: Convolution
    everywhere: Convolution

    def problem(self, convolution: Convolution) -> solver.Problem:
        return solver.Problem(self.model, self.prior, convolution, self.haematocrit)

    def fit(self, data: Tensor) -> _BatchFit:
        """Fit with an assumed noise, measure the noise, drop outliers, fit again."""
        problem, data = self.problem(self.inside), data[:, self.window]
        height = data.abs().amax(dim=1, keepdim=True).clamp(min=1e-3)
        weight = torch.ones_like(data) / (_NOISE_START_SHARE * height) ** 2
        first = solver.solve(problem, data, weight, _start(problem, data))
        weight = _measured_weight(problem, data, first)
        position = solver.solve(problem, data, weight, first)
        variance = solver.covariance(problem, position, weight)[:, 0, 0]
        near = 1e-3 * problem.prior_spread
        at_bound = (position < problem.lowest + near) | (position > problem.highest - near)
        signal = (weight * problem.curves(position) ** 2).sum(dim=1).sqrt()
        return _BatchFit(
            position=position,
            sd_log_flow=variance.sqrt(),
            too_noisy=(variance.sqrt() > TOO_NOISY_SHARE) | (signal < LEAST_SIGNAL),
            at_bound=at_bound[:, [0, -1]].any(dim=1),
            fitted=self.problem(self.everywhere).curves(position),
        )


def _start(problem: solver.Problem, data: Tensor) -> Tensor:
    """Nearest of a few curves over flow and delay, with all else at the prior's mean."""
    flows = torch.linspace(float(problem.lowest[0]), float(problem.highest[0]), 24)[4:]
    delays = torch.arange(0.0, 3.1, 0.5)
    atoms = problem.prior_mean.repeat(flows.numel() * delays.numel(), 1)
    atoms[:, 0] = flows.repeat_interleave(delays.numel())
    atoms[:, -1] = delays.repeat(flows.numel())
    curves = problem.curves(atoms)
    distance = (curves**2).sum(dim=1) - 2.0 * data @ curves.T
    return atoms[distance.argmin(dim=1)]


def _measured_weight(problem: solver.Problem, data: Tensor, position: Tensor) -> Tensor:
    """Inverse variance of each sample from the residuals; 0 for outlier frames."""
    residual = data - problem.curves(position)
    spread = residual.abs().median(dim=1, keepdim=True).values / 0.6745
    kept = (residual.abs() <= OUTLIER_SCORE * spread).to(data.dtype)
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
        status[usable] = torch.cat([_status(part) for part in parts]).numpy()
    mbf = flow_ml_min_g(1.0) * columns[names[0]]
    return FlowFit(
        mbf_ml_min_g=mbf,
        mbf_sd_ml_min_g=mbf * columns["sd_log_flow"],
        delay_s=columns["delay_s"],
        status=status,
        fitted_mmol_l=fitted,
        parameters={name: columns[name] for name in names[1:]},
    )


def _status(part: _BatchFit) -> Tensor:
    status = torch.full(part.at_bound.shape, FitStatus.CONVERGED.value)
    status[part.at_bound] = FitStatus.AT_BOUND.value
    status[part.too_noisy] = FitStatus.TOO_NOISY.value
    status[~part.sd_log_flow.isfinite()] = FitStatus.FAILED.value
    return status
