"""The numbers of a region as measurements of the report (TID 300, PS3.16)."""

import numpy as np
from highdicom.sr import FindingSite, Measurement
from pydicom.sr.coding import Code

from node.dicom_write import codes
from pipeline.result import RegionFlow, SegmentFlow


def segment_measurements(one: SegmentFlow) -> list[Measurement]:
    """Measure one segment: mean curve, noise, pixels, halves of the wall."""
    measurements = value_and_noise(one, None)
    if np.isfinite(one.mbf_pixel_median_ml_min_g):
        measurements.append(_flow(one.mbf_pixel_median_ml_min_g, codes.MEDIAN))
    return [*measurements, *two_ways(one, codes.AHA[one.segment])]


def value_and_noise(one: RegionFlow, statistic: Code | None) -> list[Measurement]:
    """Measure flow, as this statistic of its region, and the standard deviation of its fit."""
    flow = _flow(one.mbf_ml_min_g, statistic)
    if not np.isfinite(one.mbf_sd_ml_min_g):
        return [flow]
    return [flow, _flow(one.mbf_sd_ml_min_g, codes.STANDARD_DEVIATION)]


def two_ways(one: RegionFlow, site: Code) -> list[Measurement]:
    """Measure what pixels say beyond the mean curve, and the halves of the wall."""
    halves = (
        (one.mbf_endo_ml_min_g, codes.ENDOCARDIAL),
        (one.mbf_epi_ml_min_g, codes.EPICARDIAL),
    )
    measured = [
        (codes.PIXEL_DIFFERENCE, one.pixel_difference_ml_min_g, codes.ML_MIN_G, None),
        *((codes.BLOOD_FLOW, value, codes.ML_MIN_G, layer) for value, layer in halves),
        (codes.ENDO_EPI_RATIO, one.endo_epi_ratio, codes.RATIO, None),
    ]
    return [
        Measurement(
            name=name,
            value=round(value, 3),
            unit=unit,
            finding_sites=None
            if layer is None
            else [FindingSite(anatomic_location=site, topographical_modifier=layer)],
        )
        for name, value, unit, layer in measured
        if np.isfinite(value)
    ]


def _flow(value: float, statistic: Code | None) -> Measurement:
    return Measurement(
        name=codes.BLOOD_FLOW, value=round(value, 3), unit=codes.ML_MIN_G, derivation=statistic
    )
