"""The report carries every number, how it came about and what is doubtful about it."""

import subprocess
from dataclasses import replace

import highdicom as hd
import numpy as np
import pytest
from pydicom.uid import ComprehensiveSRStorage, SegmentationStorage

from pipeline.result import Burden, BurdenBy, Finding, FirstPassFailure, Severity
from pipeline.study import State


@pytest.fixture(scope="session")
def report(objects):
    [found] = [one for one in objects if one.SOPClassUID == ComprehensiveSRStorage]
    return found


def words(dataset) -> list[str]:
    """Every text in a document, depth first."""
    return [element.value for element in dataset.iterall() if element.keyword == "TextValue"]


CONTENT, LAYER = "ContentSequence", "Topographical modifier"


def groups(report):
    """Tracking identifier to (name of quantity, statistic or layer) to (value, unit)."""
    [measurements] = [
        item
        for item in report.ContentSequence
        if item.ConceptNameCodeSequence[0].CodeMeaning == "Imaging Measurements"
    ]
    table = {}
    for group in measurements.ContentSequence:
        numbers = {}
        identifier = ""
        for item in group.ContentSequence:
            meaning = item.ConceptNameCodeSequence[0].CodeMeaning
            if meaning == "Tracking Identifier":
                identifier = item.TextValue
            if item.ValueType == "NUM":
                parts = item.get("ContentSequence", [])
                statistic = [
                    part.ConceptCodeSequence[0].CodeMeaning
                    for part in [*parts, *(more for one in parts for more in one.get(CONTENT, []))]
                    if part.ConceptNameCodeSequence[0].CodeMeaning in ("Derivation", LAYER)
                ]
                value = item.MeasuredValueSequence[0]
                unit = value.MeasurementUnitsCodeSequence[0].CodeValue
                numbers[meaning, *statistic] = (float(value.NumericValue), unit)
        table[identifier] = numbers
    return table


def test_every_segment_has_flow_and_standard_deviation_at_rest_and_stress(case, report):
    table = groups(report)
    for first_pass in case.result.first_passes:
        for one in first_pass.segments:
            start = f"MBF {first_pass.label} AHA {one.segment:02d}"
            [name] = [key for key in table if key.startswith(start)]
            flow = "Absolute Regional Blood Flow"
            assert table[name][flow,] == (round(one.mbf_ml_min_g, 3), "ml/min/g")
            assert table[name][flow, "Standard Deviation"] == (0.1, "ml/min/g")
            assert table[name][flow, "Median"][0] == round(one.mbf_pixel_median_ml_min_g, 3)


def test_reserve_stands_for_segments_territories_and_the_whole_heart(case, report):
    table = groups(report)
    reserve = {key: numbers for key, numbers in table.items() if key.startswith("MPR")}
    assert len(reserve) == 16 + 3 + 1
    first = case.result.reserve[0]
    value, unit = reserve["MPR AHA 01 basal anterior"]["Myocardial Perfusion Reserve",]
    assert (value, unit) == (round(first.mpr, 3), "{ratio}")
    lad = (1, 2, 7, 8, 13, 14)
    stress, rest = (np.mean([flow + 0.01 * n for n in lad]) for flow in (2.8, 0.9))
    assert reserve["MPR LAD"]["Myocardial Perfusion Reserve",][0] == round(stress / rest, 3)


def test_both_ways_to_a_flow_and_both_halves_of_the_wall_are_in_the_report(case, report):
    table = groups(report)
    flow, segment = "Absolute Regional Blood Flow", case.result.first_passes[1].segments[6]
    assert segment.segment == 7
    expected = {
        (flow,): segment.mbf_ml_min_g,
        ("Blood flow by pixels less by mean curve",): segment.pixel_difference_ml_min_g,
        (flow, "endocardial"): segment.mbf_endo_ml_min_g,
        (flow, "epicardial"): segment.mbf_epi_ml_min_g,
        ("Endocardial to epicardial blood flow ratio",): segment.endo_epi_ratio,
    }
    for key, value in expected.items():
        assert table["MBF stress AHA 07 mid anterior"][key][0] == pytest.approx(value, abs=5e-4)
    for name in ("MBF stress LAD", "MBF rest global"):
        assert set(expected) - {(flow,)} <= set(table[name])


@pytest.fixture(scope="session")
def burdened(case):
    """The report of a study with a known pressure and a configured threshold."""
    rest, stress = case.result.first_passes
    rest = replace(rest, heart_rate_bpm=64.0, systolic_pressure_mmhg=125.0)
    result = replace(
        case.result,
        first_passes=(rest, stress),
        burden=(Burden(by=BurdenBy.STRESS_FLOW, threshold=1.94, share=0.234),),
    )
    return replace(case, result=result).only("report").encode_kind(ComprehensiveSRStorage)


@pytest.mark.peer
def test_heart_rate_and_burden_keep_the_report_valid(burdened, verify):
    assert verify(burdened) == []


def test_heart_rate_and_burden_are_in_the_report(burdened):
    table = groups(burdened)
    assert table["Haemodynamics rest"] == {
        ("Heart rate",): (64.0, "{H.B.}/min"),
        ("Systolic blood pressure",): (125.0, "mm[Hg]"),
        ("Double Product",): (8000.0, "mm[Hg]/min"),
    }
    burden = table["Ischaemic burden, stress MBF below 1.94"]
    assert burden["Extent of myocardial stress ischemia",] == (23.4, "%")
    assert burden["Configured threshold of ischemia",] == (1.94, "ml/min/g")
    corrected = table["MPR global"]["Myocardial Perfusion Reserve, rest at 10000 mmHg/min",][0]
    assert corrected == pytest.approx(
        0.8 * table["MPR global"]["Myocardial Perfusion Reserve",][0], abs=2e-3
    )
    told = words(burdened)
    assert any("23% of the myocardium that was measured" in one for one in told)
    assert any("rate-pressure product 8000" in one for one in told)


def test_what_is_not_corrected_for_the_work_of_the_heart_is_said(report):
    assert any("not corrected" in one for one in words(report))


def test_territories_are_in_the_report_with_their_artery(report):
    table = groups(report)
    for label in ("rest", "stress"):
        for name in ("LAD", "RCA", "LCX", "global"):
            found = table[f"MBF {label} {name}"]
            assert found["Absolute Regional Blood Flow", "Mean"][1] == "ml/min/g"


def test_physical_parameters_are_given_with_where_they_came_from(report):
    told = words(report)
    assert "haematocrit 0.42 (configuration)" in told
    assert "field strength 3 T (header)" in told
    assert "flip angle 12 deg (header)" in told
    assert "pulses before the centre of k-space 20" in told


def test_what_calibration_changed_is_given_once_and_beside_what_was_told(report):
    told = words(report)
    parameters = [one for one in told if one.startswith("saturation efficiency")]
    assert parameters == 2 * ["saturation efficiency 1 (default, calibrated to 0.977)"]
    assert not [one for one in told if one.startswith("Physics")]
    assert len([one for one in told if "Physics: " in one]) == 2  # in words, once a first pass


def test_algorithm_model_and_input_function_are_named(report):
    told = "\n".join(words(report))
    assert "perfusion-node" in told
    assert "Model: fermi." in told
    assert "Input function: LV pool of slice 1; peak" in told


def test_insertion_points_lie_on_the_reference_image(case, objects, report):
    points = []

    def walk(item):
        if item.get("ValueType") == "SCOORD":
            image = item.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
            points.append((tuple(item.GraphicData), image))
        for part in item.get("ContentSequence", []):
            walk(part)

    walk(report)
    references = [one for one in objects if one.SeriesDescription.startswith("Reference")]
    assert {image for _, image in points} == {one.SOPInstanceUID for one in references}
    row, column = case.result.first_passes[0].slices[0].insertion_points.anterior
    assert points[0][0] == (column + 0.5, row + 0.5)  # counted from the corner of the first pixel
    assert len(points) == 2 * len(references)


def test_everything_referred_to_is_listed_as_evidence_and_sent(objects, report):
    sent = {one.SOPInstanceUID for one in objects}
    [study] = report.CurrentRequestedProcedureEvidenceSequence
    evidence = {
        item.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }
    assert evidence <= sent
    referred = {
        value.value for value in report.iterall() if value.keyword == "ReferencedSOPInstanceUID"
    }
    assert referred == evidence


def test_highdicom_reads_the_report_back_as_a_measurement_report(report):
    document = hd.sr.ComprehensiveSR.from_dataset(report)
    content = document.content
    assert isinstance(content, hd.sr.MeasurementReport)
    found = content.get_volumetric_roi_measurement_groups()
    assert len(found) == 32
    measured = found[0].get_measurements()
    assert measured[0].unit.value == "ml/min/g"


def test_doubts_and_failures_are_in_the_words(case):
    warned = replace(
        case.result.first_passes[0],
        findings=(Finding(code="few-frames", severity=Severity.WARNING, sentence="Few frames."),),
    )
    result = replace(
        case.result,
        first_passes=(warned, case.result.first_passes[1]),
        failures=(
            FirstPassFailure(label="perfusion 3", state=State.UNDETERMINED, reason="No bolus."),
        ),
    )
    told = words(
        replace(case, result=result)
        .only("report", "segmentation")
        .encode_kind(ComprehensiveSRStorage)
    )
    assert "Warnings. rest: Few frames." in told
    assert "Not analysed. perfusion 3: No bolus." in told
    assert "Left alone. series 3: It is a cine series." in told


def test_withheld_numbers_are_not_in_the_report_and_the_reason_is(withheld_case):
    report = withheld_case.only("report").encode_kind(ComprehensiveSRStorage)
    table = groups(report)
    assert not [key for key in table if key.startswith(("MBF rest", "MPR"))]
    assert [key for key in table if key.startswith("MBF stress")]
    assert any("was saturated. Its numbers are withheld." in text for text in words(report))


def test_segments_without_a_number_are_left_out(case):
    rest = case.result.first_passes[0]
    failed = replace(rest.segments[4], mbf_ml_min_g=float("nan"))
    result = replace(
        case.result,
        first_passes=(replace(rest, segments=(*rest.segments[:4], failed, *rest.segments[5:])),),
        reserve=(),
    )
    table = groups(
        replace(case, result=result)
        .only("report", "segmentation")
        .encode_kind(ComprehensiveSRStorage)
    )
    assert len([key for key in table if key.startswith("MBF rest AHA")]) == 15


def test_report_refers_to_nothing_that_is_not_sent(case):
    [report] = case.only("report").encode()
    assert "CurrentRequestedProcedureEvidenceSequence" not in report
    assert SegmentationStorage not in [
        value.value for value in report.iterall() if value.keyword == "ReferencedSOPClassUID"
    ]
    assert len([key for key in groups(report) if key.startswith("MBF")]) == 2 * (16 + 4)


@pytest.mark.peer
def test_dcmtk_reads_the_report(report, program, tmp_path):
    path = tmp_path / "report.dcm"
    report.save_as(path, enforce_file_format=True)
    run = subprocess.run([program("dsrdump"), path], capture_output=True, check=False)
    assert run.returncode == 0, run.stderr
    assert b"MBF stress AHA 07" in run.stdout


def test_the_report_says_how_far_the_outlines_are_to_be_trusted(case):
    [rest, *_] = case.result.first_passes
    first, *others = rest.slices
    expected = replace(first.regions, predicted_dice=0.912, predicted_pool_dice=0.846)
    known = replace(rest, slices=(replace(first, regions=expected), *others))
    told = replace(case, result=replace(case.result, first_passes=(known,)))
    report = told.encode_kind(ComprehensiveSRStorage)
    [sentence] = [one for one in words(report) if one.startswith("Outlines, expected overlap")]
    assert sentence.endswith(f": {first.level} wall 0.91, cavity 0.85.")
