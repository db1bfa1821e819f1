import numpy as np
import pytest

from pipeline.result import Severity
from pipeline.saturation import measure_saturation, saturation_findings, with_efficiency
from pipeline.study import Origin
from tests.kinetic_truth import blood_curve
from tests.pipeline.blood_phantom import (
    REGIONS,
    TIME_S,
    first_pass_of,
    readout,
    short_readout,
    slice_of,
)

LONG = readout(delay_s=0.06, pulses=20)
DENSITY = readout(delay_s=np.inf, pulses=20, degrees=5.0)


def measured(first_pass):
    return measure_saturation(first_pass, [first_pass.slices[0].frames], [REGIONS])


@pytest.mark.parametrize("efficiency", [0.95, 0.98, 1.0])
def test_proton_density_frames_tell_the_efficiency(efficiency):
    one = slice_of(LONG, blood_curve(TIME_S), true_efficiency=efficiency, density=DENSITY)
    found = measured(first_pass_of(LONG, one))
    assert found.efficiency == pytest.approx(efficiency, abs=0.003)
    assert "proton-density" in saturation_findings(found)[0].sentence


@pytest.mark.parametrize("efficiency", [0.95, 0.98, 1.0])
def test_two_readouts_of_the_same_blood_tell_the_efficiency(efficiency):
    truth = blood_curve(TIME_S, peak_mmol_l=7.0)
    main, second = (
        slice_of(used, truth, true_efficiency=efficiency, noise=0.01)
        for used in (LONG, short_readout())
    )
    found = measured(first_pass_of(LONG, main, second=(short_readout(), second)))
    assert found.efficiency == pytest.approx(efficiency, abs=0.006)


@pytest.mark.parametrize("efficiency", [0.95, 0.98, 1.0])
@pytest.mark.parametrize("peak_mmol_l", [5.0, 9.0])
def test_the_ceiling_of_one_readout_tells_the_efficiency_roughly(efficiency, peak_mmol_l):
    truth = blood_curve(TIME_S, peak_mmol_l=peak_mmol_l)
    one = slice_of(LONG, truth, true_efficiency=efficiency, noise=0.01)
    found = measured(first_pass_of(LONG, one, dose=0.075))
    assert found.efficiency == pytest.approx(efficiency, abs=0.015)
    assert saturation_findings(found)[0].severity is Severity.WARNING


def test_an_efficiency_that_is_known_is_not_measured():
    first_pass = first_pass_of(LONG, slice_of(LONG, blood_curve(TIME_S)))
    first_pass.physics.origin["readout.saturation_efficiency"] = Origin.CONFIGURATION
    assert measured(first_pass) is None
    assert saturation_findings(None) == ()


def test_all_readouts_of_a_first_pass_get_the_efficiency():
    second = (short_readout(), slice_of(short_readout(), blood_curve(TIME_S)))
    first_pass = first_pass_of(LONG, slice_of(LONG, blood_curve(TIME_S)), second=second)
    changed = with_efficiency(first_pass, 0.97)
    assert changed.physics.readout.saturation_efficiency == 0.97
    assert changed.input_series.readout.saturation_efficiency == 0.97


def test_a_baseline_that_no_saturation_pulse_explains_withholds_the_numbers():
    one = slice_of(LONG, blood_curve(TIME_S), true_efficiency=0.7, density=DENSITY)
    found = saturation_findings(measured(first_pass_of(LONG, one)))
    assert [finding.severity for finding in found] == [Severity.WITHHOLD]
