"""The one table of units and physical constants used inside the pipeline.

Inside: seconds, millimetres, radians, tesla, mmol/L, mmol/kg, mL/min/g. A name ends in its unit.
Conversions from what headers say happen where the headers are read, not here.
"""

from typing import Final

TISSUE_DENSITY_G_ML: Final = 1.05
"""Density of myocardium [g/mL], as perfusion studies agree on it."""

SECONDS_PER_MINUTE: Final = 60.0


def flow_ml_min_g(impulse_response_at_zero_per_s: float) -> float:
    """Convert the impulse response at zero, h(0) [1/s], to blood flow [mL/min/g].

    The tissue curve is C_t(t) [mmol/L tissue] = (C_in * h)(t), so h(0) is mL of blood per second
    and mL of tissue; dividing by the density of tissue gives flow per gram.
    """
    return SECONDS_PER_MINUTE * impulse_response_at_zero_per_s / TISSUE_DENSITY_G_ML


def impulse_response_at_zero_per_s(flow_ml_min_g: float) -> float:
    """Convert blood flow [mL/min/g] to the impulse response at zero, h(0) [1/s]."""
    return flow_ml_min_g * TISSUE_DENSITY_G_ML / SECONDS_PER_MINUTE
