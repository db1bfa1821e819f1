"""The frame in which the left ventricle is brightest during the first pass."""

from pipeline.errors import NoBolusError, TooFewFramesError
from pipeline.heart import find_heart
from pipeline.networks import AnatomyNetwork
from pipeline.study import FloatArray

MINIMUM_FRAMES = 8


def peak_lv_frame(
    frames: FloatArray,
    time_s: FloatArray,
    spacing_mm: tuple[float, float],
    network: AnatomyNetwork,
) -> int:
    """Find the frame of peak enhancement of the left ventricular blood pool.

    Parameters
    ----------
    frames : [time, row, column]
        One slice, not aligned.
    time_s : [time]
    spacing_mm
        Between rows, between columns.
    network
        Tells the left ventricle from what only fills like one.

    Raises
    ------
    TooFewFramesError
        A first pass does not fit into so few frames.
    NoBolusError
        No blood pool that enhances like a left ventricle.
    """
    if len(frames) < MINIMUM_FRAMES:
        raise TooFewFramesError(f"{len(frames)} frames are too few for a first pass")
    heart = find_heart(frames, time_s, spacing_mm, network)
    if heart is None:
        raise NoBolusError("no contrast agent was seen to pass through the left ventricle")
    return heart.peak_frame
