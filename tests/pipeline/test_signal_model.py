import numpy as np
import pytest

from pipeline import signal_model
from pipeline.errors import InvalidStudyError
from pipeline.relaxation import Agent, r1_relaxivity_l_mmol_s
from pipeline.study import Readout, SequenceKind

SPOILED = Readout(
    sequence=SequenceKind.SPOILED_GRADIENT_ECHO,
    repetition_time_s=2.2e-3,
    echo_time_s=1.0e-3,
    flip_angle_rad=np.radians(12),
    saturation_delay_s=0.06,
    pulses_before_centre=20,
)


def balanced(**changes):
    values = {
        "sequence": SequenceKind.BALANCED_SSFP,
        "repetition_time_s": 2.5e-3,
        "echo_time_s": 1.25e-3,
        "flip_angle_rad": np.radians(50),
        "saturation_delay_s": 0.06,
        "pulses_before_centre": 20,
    }
    return Readout(**(values | changes))


def rotated(magnetisation, flip, phase):
    axis = np.array([np.cos(phase), np.sin(phase), 0.0])
    return (
        magnetisation * np.cos(flip)
        + np.cross(axis, magnetisation) * np.sin(flip)
        + axis * (axis @ magnetisation) * (1.0 - np.cos(flip))
    )


def relaxed(magnetisation, time, r1, r2):
    decay = np.array([np.exp(-time * r2), np.exp(-time * r2), np.exp(-time * r1)])
    return magnetisation * decay + np.array([0.0, 0.0, 1.0 - np.exp(-time * r1)])


def test_spoiled_readout_equals_a_simulation_of_every_pulse():
    r1 = np.array([0.6, 3.0, 20.0])
    longitudinal = 1.0 - np.exp(-SPOILED.saturation_delay_s * r1)
    for _ in range(SPOILED.pulses_before_centre):
        longitudinal = longitudinal * np.cos(SPOILED.flip_angle_rad)
        longitudinal = 1.0 - (1.0 - longitudinal) * np.exp(-SPOILED.repetition_time_s * r1)
    expected = longitudinal * np.sin(SPOILED.flip_angle_rad)
    np.testing.assert_allclose(
        signal_model.spoiled_gradient_echo(r1, np.zeros(3), SPOILED), expected, rtol=1e-12
    )


def test_balanced_readout_equals_bloch_rotations_in_three_dimensions():
    readout = balanced()
    r1, r2 = 2.0, 12.0
    magnetisation = np.array([0.0, 0.0, 1.0 - np.exp(-readout.saturation_delay_s * r1)])
    magnetisation = rotated(magnetisation, readout.flip_angle_rad / 2.0, np.pi)
    magnetisation = relaxed(magnetisation, readout.repetition_time_s / 2.0, r1, r2)
    for pulse in range(readout.pulses_before_centre + 1):
        magnetisation = rotated(magnetisation, readout.flip_angle_rad, np.pi * (pulse % 2))
        if pulse < readout.pulses_before_centre:
            magnetisation = relaxed(magnetisation, readout.repetition_time_s, r1, r2)
    echo = relaxed(magnetisation, readout.repetition_time_s / 2.0, r1, r2)
    found = signal_model.balanced_ssfp(np.array(r1), np.array(r2), readout)
    assert found == pytest.approx(np.hypot(*echo[:2]), rel=1e-10)


def test_balanced_readout_ends_in_the_textbook_steady_state():
    readout = balanced(pulses_before_centre=4000)
    r1, r2, flip = 1.0, 20.0, readout.flip_angle_rad
    e1, e2 = np.exp(-readout.repetition_time_s * np.array([r1, r2]))
    steady = np.sin(flip) * (1.0 - e1) / (1.0 - (e1 - e2) * np.cos(flip) - e1 * e2) * np.sqrt(e2)
    found = signal_model.balanced_ssfp(np.array(r1), np.array(r2), readout)
    assert found == pytest.approx(steady, rel=1e-9)


def test_incomplete_saturation_leaves_its_share_of_the_magnetisation():
    barely = Readout(
        sequence=SequenceKind.SPOILED_GRADIENT_ECHO,
        repetition_time_s=2e-3,
        echo_time_s=0.0,
        flip_angle_rad=np.pi / 2,
        saturation_delay_s=1e-9,
        pulses_before_centre=0,
        saturation_efficiency=0.9,
    )
    found = signal_model.spoiled_gradient_echo(np.array(1.0), np.array(0.0), barely)
    assert found == pytest.approx(0.1, abs=1e-6)


def test_relaxivity_between_the_two_fields_lies_between_and_other_fields_are_refused():
    at_two = r1_relaxivity_l_mmol_s(Agent.GADOTERATE, 2.0)
    low, high = (r1_relaxivity_l_mmol_s(Agent.GADOTERATE, field) for field in (3.0, 1.5))
    assert low < at_two < high
    with pytest.raises(InvalidStudyError, match="7 T"):
        r1_relaxivity_l_mmol_s(Agent.GADOTERATE, 7.0)


@pytest.mark.parametrize("replaced_per_s", [0.0, 4.0, 60.0])
def test_blood_that_flows_through_the_slice_is_followed_pulse_by_pulse(replaced_per_s):
    r1 = np.array([0.6, 2.0, 20.0])
    share = replaced_per_s * SPOILED.repetition_time_s
    relax = np.exp(-SPOILED.repetition_time_s * r1)
    left = 1.0 - SPOILED.saturation_efficiency
    fresh = 1.0 - (1.0 - left) * np.exp(-SPOILED.saturation_delay_s * r1)
    inside = fresh
    for _ in range(SPOILED.pulses_before_centre):
        inside = inside * np.cos(SPOILED.flip_angle_rad) * relax + 1.0 - relax
        fresh = fresh * relax + 1.0 - relax
        inside = (1.0 - share) * inside + share * fresh
    found = signal_model.spoiled_gradient_echo(
        r1, np.zeros(3), SPOILED, replaced_per_s=replaced_per_s
    )
    np.testing.assert_allclose(found, inside * np.sin(SPOILED.flip_angle_rad), rtol=1e-10)
