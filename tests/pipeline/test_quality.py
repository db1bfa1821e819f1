"""The quality gate on a first pass that is analysed perfectly but for one thing."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline.phantom import simulate
from pipeline.quality import first_pass_findings, study_findings, worst_first
from pipeline.result import Finding, FitStatus, Severity
from pipeline.study import Origin, State
from tests.node.dicom_write.truth import true_first_pass
from tests.small_phantom import FAST


@pytest.fixture(scope="module")
def phantom():
    return simulate(3, FAST)


@pytest.fixture(scope="module")
def perfect(phantom):
    return true_first_pass(phantom.study.first_passes[0], phantom.truth.first_passes[0])


@pytest.fixture
def judged(phantom, perfect):
    """What the gate finds that it does not find in the perfect result."""
    [first_pass] = phantom.study.first_passes

    def judge(source=first_pass, **changes):
        def found(one, origin):
            return first_pass_findings(origin, one.slices, one.input_function, one.segments)

        before = found(perfect, first_pass)
        return [one for one in found(replace(perfect, **changes), source) if one not in before]

    return judge


def codes(findings):
    return {finding.code: finding.severity for finding in findings}


@pytest.mark.parametrize(("share", "withheld"), [(0.4, False), (0.6, True)])
def test_noise_in_most_of_the_wall_withholds_the_numbers(perfect, judged, share, withheld):
    [one] = perfect.slices
    wall = one.maps.status != FitStatus.NOT_FITTED
    status = one.maps.status.copy()
    status[wall] = np.where(
        np.arange(wall.sum()) < share * wall.sum(), FitStatus.TOO_NOISY, FitStatus.CONVERGED
    )
    noisy = replace(one, maps=replace(one.maps, status=status))
    expected = {"fits-failed": Severity.WITHHOLD} if withheld else {}
    assert codes(judged(slices=(noisy,))) == expected


def test_a_wall_without_any_fit_withholds_the_numbers(perfect, judged):
    [one] = perfect.slices
    nothing = np.full_like(one.maps.status, FitStatus.NOT_FITTED)
    empty = replace(one, maps=replace(one.maps, status=nothing))
    assert codes(judged(slices=(empty,))) == {"fits-failed": Severity.WITHHOLD}


def all_with(flow, result):
    return tuple(
        replace(
            one,
            mbf_ml_min_g=flow,
            mbf_sd_ml_min_g=0.1 * flow,
            mbf_pixel_median_ml_min_g=flow,
        )
        for one in result.segments
    )


@pytest.mark.parametrize("flow", [0.02, 9.0, np.nan])
def test_flow_that_no_living_heart_has_withholds_the_numbers(perfect, judged, flow):
    found = codes(judged(segments=all_with(flow, perfect)))
    assert found == {"flow-implausible": Severity.WITHHOLD}


@pytest.mark.parametrize(
    ("state", "flow", "unusual"),
    [(State.REST, 2.1, True), (State.REST, 1.5, False), (State.STRESS, 2.1, False)],
)
def test_flow_at_rest_as_under_stress_is_a_warning(phantom, perfect, judged, state, flow, unusual):
    [first_pass] = phantom.study.first_passes
    found = judged(source=replace(first_pass, state=state), segments=all_with(flow, perfect))
    assert ("rest-flow-unusual" in codes(found)) is unusual


@pytest.mark.parametrize(("share", "weak"), [(0.25, True), (0.15, False)])
def test_flow_with_large_standard_deviations_is_a_warning(perfect, judged, share, weak):
    segments = tuple(
        replace(one, mbf_sd_ml_min_g=share * one.mbf_ml_min_g) for one in perfect.segments
    )
    found = codes(judged(segments=segments))
    assert found == ({"flow-weakly-determined": Severity.WARNING} if weak else {})


def test_pixels_and_mean_curve_that_part_are_a_warning_with_the_segment(perfect, judged):
    first, *others = perfect.segments
    parted = replace(first, mbf_pixel_median_ml_min_g=2.0 * first.mbf_ml_min_g)
    [finding] = judged(segments=(parted, *others))
    assert finding.code == "segment-and-pixels-disagree"
    assert finding.sentence.endswith(f"in segment {first.segment}.")


@pytest.mark.parametrize(("dice", "doubted"), [(0.8, True), (0.9, False), (None, False)])
@pytest.mark.parametrize(
    ("of", "code"),
    [
        ("predicted_dice", "segmentation-doubtful"),
        ("predicted_pool_dice", "cavity-doubtful"),
    ],
)
def test_an_outline_that_is_expected_to_be_poor_is_a_warning(
    perfect, judged, of, code, dice, doubted
):
    [one] = perfect.slices
    outlined = replace(one, regions=replace(one.regions, **{of: dice}))
    found = codes(judged(slices=(outlined,)))
    assert found == ({code: Severity.WARNING} if doubted else {})


def test_parameters_that_nobody_told_are_named(phantom, judged):
    [first_pass] = phantom.study.first_passes
    told = {"readout.flip_angle_rad": Origin.DEFAULT, "t1_blood_s": Origin.DEFAULT}
    physics = replace(first_pass.physics, origin=told)
    [finding] = judged(source=replace(first_pass, physics=physics))
    assert finding.code == "physics-assumed"
    assert finding.sentence.endswith(": flip angle.")  # T1 has a finding of its own


def scaled(result, state, by, **changes):
    segments = [replace(one, mbf_ml_min_g=by * one.mbf_ml_min_g) for one in result.segments]
    return replace(result, state=state, segments=tuple(segments), **changes)


def test_stress_below_rest_is_a_warning_unless_one_of_them_is_withheld(perfect):
    rest, low = scaled(perfect, State.REST, 1.0), scaled(perfect, State.STRESS, 0.8)
    assert codes(study_findings([rest, low])) == {"stress-below-rest": Severity.WARNING}
    assert study_findings([rest, scaled(perfect, State.STRESS, 1.2)]) == ()
    assert study_findings([low]) == ()
    reason = Finding(code="wrong", severity=Severity.WITHHOLD, sentence="It is wrong.")
    assert study_findings([rest, replace(low, findings=(reason,))]) == ()


def test_the_worst_finding_is_said_first():
    findings = [
        Finding(code=str(number), severity=severity, sentence="It is so.")
        for number, severity in enumerate(
            [Severity.NOTE, Severity.WITHHOLD, Severity.WARNING, Severity.WITHHOLD]
        )
    ]
    assert [one.code for one in worst_first(findings)] == ["1", "3", "2", "0"]
