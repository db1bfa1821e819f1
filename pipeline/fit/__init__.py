"""Blood flow by fitting a kinetic model to many concentration curves at once."""

from pipeline.fit.flow import FlowFit, fit_flow

__all__ = ["FlowFit", "fit_flow"]
