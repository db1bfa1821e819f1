"""A phantom that is quick to make, for tests of what comes after it."""

from typing import Final

from pipeline.phantom import PhantomSettings
from pipeline.study import State

FAST: Final = PhantomSettings(
    states=(State.REST,), n_slices=1, n_frames=40, matrix=96, spacing_mm=3.0, motion_mm=4.0
)
"""One small slice at rest."""
