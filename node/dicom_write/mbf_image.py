"""MBF as derived MR: integers in mL/min/100 g, because that opens in every PACS.

The region tools of a PACS read the number; the Real World Value Mapping gives mL/min/g.
"""

import numpy as np
from pydicom.dataset import Dataset

from node.dicom_write.derived_mr import LARGEST, Look, derived_series
from node.dicom_write.parametric_map import MBF, real_world_mapping
from node.dicom_write.provenance import Provenance
from node.dicom_write.stacks import AnalysedPass
from pipeline.study import FloatArray, IntArray

KIND = 4
PER_ML_MIN_G = 100
"""Stored value of 1 mL/min/g."""
_WINDOW = (
    PER_ML_MIN_G * sum(MBF.display) / 2,
    PER_ML_MIN_G * (MBF.display[1] - MBF.display[0]),
)


def encode_mbf_image(
    analysed: AnalysedPass, stack_number: int, provenance: Provenance
) -> list[Dataset]:
    """Make the MBF series of one stack; 0 means: no measurement here."""
    stack = analysed.stacks[stack_number]
    mapping = real_world_mapping(MBF, analysed.result.model, (0, LARGEST), slope=1 / PER_ML_MIN_G)
    look = Look(
        kind="MBF",
        derivation=f"Myocardial blood flow by pixel, model {analysed.result.model}; "
        "stored value = mL/min/100 g; 0 = no measurement",
        window=_WINDOW,
        comment="RESEARCH USE ONLY. Pixel value / 100 = myocardial blood flow in mL/min/g.",
        real_world=(mapping,),
        padding=0,
    )
    return derived_series(
        provenance,
        stack.planes,
        [_stored_flow(one.maps.mbf_ml_min_g) for one in stack.slices],
        look,
        series=(analysed.label, "mbf-mr", stack_number),
        series_number=provenance.series_number(analysed.number, KIND),
        series_description=f"MBF {analysed.label}{analysed.part(stack_number)} "
        "[mL/min/100g] RESEARCH",
    )


def _stored_flow(mbf_ml_min_g: FloatArray) -> IntArray:
    """Integers from 1 where there is a number, so that a flow near zero is not taken for none."""
    measured = np.isfinite(mbf_ml_min_g)
    stored = np.zeros(mbf_ml_min_g.shape, dtype="<u2")
    stored[measured] = np.clip(np.rint(mbf_ml_min_g[measured] * PER_ML_MIN_G), 1, LARGEST)
    return stored
