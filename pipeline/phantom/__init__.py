"""A digital perfusion phantom: one seed gives one study, with everything known about it.

The signal (`bloch`) and the exchange between blood and tissue (`tissue`) are solved here on
their own, apart from the models that the pipeline fits, so that agreement means something.
"""

from pipeline.phantom.settings import PhantomSettings
from pipeline.phantom.study import simulate, stream
from pipeline.phantom.truth import FirstPassTruth, PhantomStudy, PhantomTruth, SliceTruth

__all__ = [
    "FirstPassTruth",
    "PhantomSettings",
    "PhantomStudy",
    "PhantomTruth",
    "SliceTruth",
    "simulate",
    "stream",
]
