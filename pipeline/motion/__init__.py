"""Motion compensation: where the heart was in each frame, and the frames put back to one place."""

from pipeline.motion.align import align, align_to, align_together, follow, put_back
from pipeline.motion.reference import align_near_peak

__all__ = ["align", "align_near_peak", "align_to", "align_together", "follow", "put_back"]
