import numpy as np

from pipeline import input_quality
from pipeline.result import InputFunction, Severity
from pipeline.study import State
from tests.kinetic_truth import blood_curve

TIME_S = np.arange(0.0, 60.0, 0.9)


def input_of(curve, **changes):
    values = {
        "time_s": TIME_S,
        "concentration_mmol_l": curve,
        "arrival_s": 8.0,
        "first_pass_end_s": 20.0,
        "source": "LV pool of slice 1",
    }
    return InputFunction(**(values | changes))


def codes(findings):
    return {finding.code: finding.severity for finding in findings}


def test_a_plausible_input_function_gives_no_finding():
    assert input_quality.input_findings(input_of(blood_curve(TIME_S))) == []


def test_a_saturated_input_function_is_a_warning():
    found = codes(input_quality.input_findings(input_of(blood_curve(TIME_S), saturated=True)))
    assert found == {"input-function-saturated": Severity.WARNING}


def test_an_impossible_peak_withholds_the_numbers():
    for peak in (0.4, 18.0):
        found = codes(input_quality.input_findings(input_of(blood_curve(TIME_S, peak_mmol_l=peak))))
        assert found == {"input-function-implausible": Severity.WITHHOLD}


def test_a_bolus_that_arrives_when_the_series_ends_withholds_the_numbers():
    found = codes(input_quality.input_findings(input_of(blood_curve(TIME_S), arrival_s=56.0)))
    assert found == {"first-pass-cut-off": Severity.WITHHOLD}


def test_dose_and_input_function_that_give_a_usual_cardiac_output_are_no_finding():
    area = np.trapezoid(blood_curve(TIME_S)[(TIME_S >= 8) & (TIME_S <= 20)], dx=0.9)
    dose_mmol_kg = 0.08 * area / 60.0
    assert (
        input_quality.output_findings(dose_mmol_kg, State.REST, input_of(blood_curve(TIME_S))) == []
    )


def test_an_input_function_too_small_by_a_factor_for_its_dose_is_doubted_then_withheld():
    area = np.trapezoid(blood_curve(TIME_S)[(TIME_S >= 8) & (TIME_S <= 20)], dx=0.9)
    dose_mmol_kg = 0.08 * area / 60.0
    verdicts = [
        codes(
            input_quality.output_findings(
                dose_mmol_kg, State.REST, input_of(blood_curve(TIME_S) / by)
            )
        )
        for by in (2.0, 4.0)
    ]
    assert verdicts == [
        {"cardiac-output-unusual": Severity.WARNING},
        {"cardiac-output-implausible": Severity.WITHHOLD},
    ]


def test_an_unknown_dose_is_said():
    found = codes(input_quality.output_findings(None, State.REST, input_of(blood_curve(TIME_S))))
    assert found == {"dose-unknown": Severity.NOTE}


def test_a_peak_twice_too_high_for_the_dose_is_doubted_and_a_usual_one_is_not():
    found = [
        codes(input_quality.peak_findings(0.05, input_of(blood_curve(TIME_S, peak_mmol_l=peak))))
        for peak in (4.4, 9.6)
    ]
    assert found == [{}, {"input-peak-unusual": Severity.WARNING}]


def test_a_left_ventricle_that_fills_before_the_right_one_withholds_the_numbers():
    assert input_quality.order_findings(5.0) == []
    found = codes(input_quality.order_findings(-2.0))
    assert found == {"ventricle-order-wrong": Severity.WITHHOLD}


def test_an_order_of_the_ventricles_that_was_not_seen_is_said():
    assert codes(input_quality.order_findings(None)) == {"ventricle-order-unknown": Severity.NOTE}
