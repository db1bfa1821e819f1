"""Blood flow by fitting a kinetic model to many concentration curves at once."""

from pipeline.fit.flow import FlowFit, fit_flow
from pipeline.fit.learning import learned_prior

__all__ = ["FlowFit", "fit_flow", "learned_prior"]
