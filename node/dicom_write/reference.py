"""The reference series: what the results lie on, one image per slice.

Viewers draw overlays on a plain series of slices and fail on a dynamic one. Each image is the frame
to which the motion compensation aligned all others, as it came from the scanner.
"""

import numpy as np
from pydicom.dataset import Dataset

from node.dicom_write.derived_mr import Look, derived_series, stored, stored_scale
from node.dicom_write.provenance import Provenance
from node.dicom_write.stacks import AnalysedPass
from pipeline.study import FloatArray

KIND = 0


def encode_reference(
    analysed: AnalysedPass, stack_number: int, provenance: Provenance
) -> list[Dataset]:
    """Make the reference series of one stack of a first pass."""
    stack = analysed.stacks[stack_number]
    frames = [one.aligned.frames[one.aligned.reference_frame] for one in stack.slices]
    scale = stored_scale(frames)
    images = [stored(frame, scale) for frame in frames]
    look = Look(
        kind="REFERENCE",
        derivation="The frame to which motion compensation aligned all other frames of the slice"
        + (f"; stored value = signal x {scale:g}" if scale != 1.0 else ""),
        window=window_of([image.astype(float) for image in images]),
        comment="RESEARCH USE ONLY. What segmentations and maps lie on.",
    )
    return derived_series(
        provenance,
        stack.planes,
        images,
        look,
        series=(analysed.label, "reference", stack_number),
        series_number=provenance.series_number(analysed.number, KIND),
        series_description=f"Reference {analysed.label}{analysed.part(stack_number)} RESEARCH",
    )


def window_of(images: list[FloatArray]) -> tuple[float, float]:
    """Centre and width that show all but the brightest hundredth of the pixels."""
    top = max(float(np.percentile(np.stack(images), 99)), 1.0)
    return round(top / 2), max(round(top), 1)
