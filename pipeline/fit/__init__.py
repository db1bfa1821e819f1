"""Blood flow by fitting a kinetic model to many concentration curves at once."""

from pipeline.fit.flow import FlowFit, fit_flow, model_in
from pipeline.fit.learning import learned_prior
from pipeline.fit.models import Prior

__all__ = ["FlowFit", "Prior", "fit_flow", "learned_prior", "model_in"]
