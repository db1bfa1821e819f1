"""The reference cases of OSIPI's DCE-DSC-MRI code collection, within its tolerances."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from pipeline import concentration
from pipeline.fit import fit_flow
from pipeline.fit.models import Delay
from pipeline.fit.reference_models import EXCHANGE, EXTENDED_TOFTS, PATLAK, TOFTS, UPTAKE
from pipeline.result import InputFunction
from pipeline.signal_model import Medium
from pipeline.study import Readout, SequenceKind

pytestmark = pytest.mark.shared_data

PER_MINUTE = 60.0
ML_PER_100ML_MIN = 6000.0
TOLERANCE = {"ve": (0.05, 0.0), "vp": (0.025, 0.0), "ps": (0.005, 0.1), "fp": (5.0, 0.1)}
DELAY_TOLERANCE_S = 1.0


def cases(folder, name):
    with (folder / "osipi" / "DCEmodels" / name).open(encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def numbers(text):
    return np.array(text.split(), dtype=float)


def plasma_input(time_s, curve):
    rises = np.flatnonzero(curve > 0.02 * curve.max())[0]
    return InputFunction(
        time_s=time_s,
        concentration_mmol_l=curve,
        arrival_s=float(time_s[rises]),
        first_pass_end_s=float(time_s[-1]),
        source="reference",
    )


@pytest.fixture(autouse=True)
def long_csv_fields():
    before = csv.field_size_limit(10**7)
    yield
    csv.field_size_limit(before)


def fit_all(rows, model, delay=None, curve_key="C_t", input_key="cp_aif"):
    """Fit all rows; the cases without delay are, as in OSIPI's own tests, fitted without one."""
    if delay == 0:
        fixed = Delay(mean_s=0.0, spread_s=1e-3, lowest_s=-0.01, highest_s=0.01)
        model = replace(model, delay=fixed)
    time_s = numbers(rows[0]["t"])
    curves = np.array([numbers(row[curve_key]) for row in rows])
    blood = plasma_input(time_s, numbers(rows[0][input_key]))
    return fit_flow(curves, time_s, blood, model=model, haematocrit=0.0)


def assert_within(found, rows, key, tolerance):
    expected = np.array([float(row[key]) for row in rows])
    np.testing.assert_allclose(found, expected, atol=tolerance[0], rtol=tolerance[1])


@pytest.mark.parametrize("delay", [0, 5])
def test_two_compartment_exchange(shared_data, delay):
    rows = cases(shared_data, f"2cxm_sd_0.001_delay_{delay}.csv")
    fit = fit_all(rows, EXCHANGE, delay)
    assert_within(fit.flow_per_s * ML_PER_100ML_MIN, rows, "fp", TOLERANCE["fp"])
    assert_within(fit.parameters["ps_per_s"] * PER_MINUTE, rows, "ps", TOLERANCE["ps"])
    assert_within(fit.parameters["blood_volume"], rows, "vp", TOLERANCE["vp"])
    assert_within(fit.parameters["interstitium"], rows, "ve", TOLERANCE["ve"])
    np.testing.assert_allclose(fit.delay_s, delay, atol=DELAY_TOLERANCE_S)


@pytest.mark.parametrize("delay", [0, 5])
def test_two_compartment_uptake(shared_data, delay):
    rows = cases(shared_data, f"2cum_sd_0.0025_delay_{delay}.csv")
    fit = fit_all(rows, UPTAKE, delay)
    assert_within(fit.flow_per_s * ML_PER_100ML_MIN, rows, "fp", TOLERANCE["fp"])
    assert_within(fit.parameters["ps_per_s"] * PER_MINUTE, rows, "ps", TOLERANCE["ps"])
    assert_within(fit.parameters["plasma"], rows, "vp", TOLERANCE["vp"])
    np.testing.assert_allclose(fit.delay_s, delay, atol=DELAY_TOLERANCE_S)


@pytest.mark.parametrize("delay", [0, 5])
def test_patlak(shared_data, delay):
    rows = cases(shared_data, f"patlak_sd_0.02_delay_{delay}.csv")
    fit = fit_all(rows, PATLAK, delay)
    assert_within(fit.flow_per_s * PER_MINUTE, rows, "ps", TOLERANCE["ps"])
    assert_within(fit.parameters["plasma"], rows, "vp", TOLERANCE["vp"])
    np.testing.assert_allclose(fit.delay_s, delay, atol=DELAY_TOLERANCE_S)


@pytest.mark.parametrize(
    ("name", "model"),
    [("dce_DRO_data_tofts.csv", TOFTS), ("dce_DRO_data_extended_tofts.csv", EXTENDED_TOFTS)],
)
def test_tofts_family(shared_data, name, model):
    groups = {}
    for row in cases(shared_data, name):
        groups.setdefault(row["ca"], []).append(row)
    for rows in groups.values():
        fit = fit_all(rows, model, 0, curve_key="C", input_key="ca")
        assert_within(fit.flow_per_s * PER_MINUTE, rows, "Ktrans", TOLERANCE["ps"])
        assert_within(fit.parameters["interstitium"], rows, "ve", TOLERANCE["ve"])
        if "vp" in rows[0]:
            assert_within(fit.parameters["plasma"], rows, "vp", TOLERANCE["vp"])


def test_signal_to_concentration(shared_data):
    path = shared_data / "osipi" / "SI_to_Conc" / "data" / "SI2Conc_data.csv"
    with path.open(encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        steady = Readout(
            sequence=SequenceKind.SPOILED_GRADIENT_ECHO,
            repetition_time_s=float(row["TR"]),
            echo_time_s=0.0,
            flip_angle_rad=np.radians(float(row["FA"])),
            saturation_delay_s=np.inf,
            pulses_before_centre=20_000,
        )
        medium = Medium(
            t1_s=float(row["T1base"]),
            t2_s=0.1,
            r1_relaxivity_l_mmol_s=float(row["r1"]),
            r2_relaxivity_l_mmol_s=0.1,
            r2_star_relaxivity_l_mmol_s=0.0,
        )
        signal = numbers(row["s"])
        before = signal[1 : int(row["numbaselinepts"])].mean()
        found = concentration.from_baseline(signal, np.array(before), steady, medium)
        np.testing.assert_allclose(
            found.values_mmol_l[1:], numbers(row["conc"])[1:], atol=1e-5, rtol=1e-5
        )
