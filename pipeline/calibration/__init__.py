"""What header and literature leave open about scanner and body, from the images themselves."""

from pipeline.calibration.posterior import (
    Calibration,
    calibrate,
    calibrated,
    calibration_findings,
)

__all__ = ["Calibration", "calibrate", "calibrated", "calibration_findings"]
