"""Conservation, limits and agreement with the pipeline's own, separate models."""

from dataclasses import replace

import numpy as np
import pytest

from pipeline import concentration, signal_model
from pipeline.phantom.bloch import readout_signal
from pipeline.phantom.blood import STEP_S, Circulation, blood_curves
from pipeline.phantom.exchange import TissueKinetics, residue_per_s, tissue_curves
from pipeline.phantom.labels import N_LABELS, Tissue
from pipeline.phantom.patient import draw_patient
from pipeline.phantom.settings import PhantomSettings
from pipeline.phantom.signals import label_signals
from pipeline.study import Readout, SequenceKind
from pipeline.units import impulse_response_at_zero_per_s

TIME_S = np.arange(0.0, 400.0, STEP_S)
HAEMATOCRIT = 0.42


def kinetics(mbf=1.0, ps=1.0, plasma=0.06, interstitium=0.2, delay=0.0):
    values = np.atleast_1d(mbf).astype(float)
    return TissueKinetics(
        mbf_ml_min_g=values,
        ps_ml_min_g=np.full(values.shape, float(ps)),
        plasma_volume_ml_ml=np.full(values.shape, float(plasma)),
        interstitial_volume_ml_ml=np.full(values.shape, float(interstitium)),
        delay_s=np.full(values.shape, float(delay)),
    )


@pytest.mark.parametrize("mbf", [0.3, 1.0, 4.0])
def test_without_extraction_the_residue_holds_the_plasma_volume(mbf):
    residue = residue_per_s(kinetics(mbf=mbf, ps=0.0, delay=1.3), TIME_S, HAEMATOCRIT)
    assert residue.sum() * STEP_S == pytest.approx(0.06, rel=1e-3)


@pytest.mark.parametrize("mbf", [0.5, 1.0, 4.0])
def test_with_extraction_the_residue_holds_plasma_and_interstitium(mbf):
    residue = residue_per_s(kinetics(mbf=mbf), TIME_S, HAEMATOCRIT)
    assert residue.sum() * STEP_S == pytest.approx(0.26, rel=0.01)


@pytest.mark.parametrize("spread", [0.2, 0.5])
def test_many_capillaries_have_the_flow_and_the_volumes_of_the_tissue(spread):
    tissue = replace(kinetics(mbf=1.0), flow_spread=spread)
    residue = residue_per_s(tissue, TIME_S, HAEMATOCRIT)[0]
    flow = impulse_response_at_zero_per_s(1.0) * (1 - HAEMATOCRIT)
    assert residue[0] == pytest.approx(flow, rel=1e-12)
    assert residue.sum() * STEP_S == pytest.approx(0.26, rel=0.02)
    single = residue_per_s(kinetics(mbf=1.0), TIME_S, HAEMATOCRIT)[0]
    assert np.abs(residue - single).max() > 0.1 * flow


def test_nothing_has_left_before_the_transit_time():
    residue = residue_per_s(kinetics(mbf=1.0), TIME_S, HAEMATOCRIT)[0]
    flow = impulse_response_at_zero_per_s(1.0) * (1 - HAEMATOCRIT)
    transit = 0.06 / flow
    np.testing.assert_allclose(residue[transit - STEP_S > TIME_S], flow, rtol=1e-12)
    assert np.all(np.diff(residue) <= 1e-12)


def test_the_distributed_solution_agrees_with_a_finite_difference_capillary():
    """Plug flow in Lagrangian steps and exchange by its exact two-region matrix."""
    mbf, ps, plasma, interstitium, nodes = 2.0, 1.2, 0.06, 0.2, 400
    flow = impulse_response_at_zero_per_s(mbf) * (1 - HAEMATOCRIT)
    exchange = impulse_response_at_zero_per_s(ps)
    step = plasma / flow / nodes
    time = np.arange(0.0, 60.0, step)
    arterial = np.exp(-(((time - 8.0) / 3.0) ** 2))
    to, back = exchange / plasma, exchange / interstitium
    left = np.exp(-(to + back) * step)
    inside, outside = np.zeros(nodes), np.zeros(nodes)
    content = np.empty(time.size)
    for number, entering in enumerate(arterial):
        inside = np.concatenate([[entering], inside[:-1]])
        mixed = (plasma * inside + interstitium * outside) / (plasma + interstitium)
        inside, outside = mixed + (inside - mixed) * left, mixed + (outside - mixed) * left
        content[number] = plasma * inside.mean() + interstitium * outside.mean()
    grid = np.arange(0.0, 60.0, STEP_S)
    blood = np.exp(-(((grid - 8.0) / 3.0) ** 2)) * (1 - HAEMATOCRIT)
    analytic = tissue_curves(kinetics(mbf=mbf, ps=ps), blood, grid, HAEMATOCRIT)[0]
    expected = np.interp(grid, time, content)
    assert np.abs(analytic - expected).max() < 0.02 * expected.max()


def test_tissue_comes_into_equilibrium_with_constant_blood():
    curve = tissue_curves(kinetics(mbf=2.0), np.ones_like(TIME_S), TIME_S, HAEMATOCRIT)[0]
    assert curve[0] < 0.01
    assert curve[-1] == pytest.approx(0.26 / (1 - HAEMATOCRIT), rel=0.01)


def test_no_flow_brings_no_contrast_agent():
    curve = tissue_curves(kinetics(mbf=1e-6), np.ones_like(TIME_S), TIME_S, HAEMATOCRIT)[0]
    assert curve.max() < 1e-3


def test_all_that_is_injected_passes_both_ventricles_once():
    circulation = Circulation(
        cardiac_output_l_min=5.0,
        dose_mmol=4.0,
        injection_s=3.0,
        arrival_s=5.0,
        vein_spread_s=2.0,
        lung_transit_s=7.0,
        lung_spread_s=2.0,
        coronary_spread_s=0.5,
        body_transit_s=15.0,
        body_share=0.0,
        mixing_share=0.0,
    )
    curves = blood_curves(circulation, 200.0)
    for curve in (curves.rv, curves.lv, curves.coronary, curves.aorta):
        assert curve.sum() * STEP_S == pytest.approx(4.0 / (5.0 / 60.0), rel=1e-3)
    later = (curves.lv * curves.time_s).sum() / curves.lv.sum()
    earlier = (curves.rv * curves.time_s).sum() / curves.rv.sum()
    assert later - earlier == pytest.approx(7.0, abs=STEP_S)
    assert curves.lv.std() < curves.rv.std()


READOUT = Readout(
    sequence=SequenceKind.SPOILED_GRADIENT_ECHO,
    repetition_time_s=2.4e-3,
    echo_time_s=1.1e-3,
    flip_angle_rad=np.radians(12.0),
    saturation_delay_s=0.04,
    pulses_before_centre=24,
    saturation_efficiency=0.97,
)


def test_a_long_spoiled_train_ends_in_the_ernst_steady_state():
    r1 = np.array([1.0, 20.0])
    last = readout_signal(READOUT, r1_per_s=r1, r2_per_s=np.zeros(2), n_pulses=6000)[-1]
    e1 = np.exp(-READOUT.repetition_time_s * r1)
    flip = READOUT.flip_angle_rad
    np.testing.assert_allclose(last, np.sin(flip) * (1 - e1) / (1 - e1 * np.cos(flip)), rtol=1e-6)


def test_a_long_balanced_train_ends_in_its_steady_state():
    readout = replace(READOUT, sequence=SequenceKind.BALANCED_SSFP, echo_time_s=0.0)
    r1, r2 = np.array([1.0]), np.array([20.0])
    last = readout_signal(readout, r1_per_s=r1, r2_per_s=r2, n_pulses=6000)[-1]
    e1, e2 = (np.exp(-readout.repetition_time_s * rate) for rate in (r1, r2))
    flip = readout.flip_angle_rad
    expected = np.sin(flip) * (1 - e1) / (1 - (e1 - e2) * np.cos(flip) - e1 * e2)
    np.testing.assert_allclose(last, expected, rtol=1e-5)


def test_perfect_saturation_leaves_nothing_at_once():
    readout = replace(READOUT, saturation_delay_s=1e-9, saturation_efficiency=1.0)
    first = readout_signal(readout, r1_per_s=np.ones(1), r2_per_s=np.zeros(1), n_pulses=1)
    assert first[0, 0] < 1e-8


@pytest.mark.parametrize("sequence", SequenceKind)
@pytest.mark.parametrize(("tissue", "highest"), [("blood", 3.0), ("myocardium", 1.5)])
def test_the_pipeline_recovers_the_concentration_from_the_signal_within_1_percent(
    sequence, tissue, highest
):
    settings = PhantomSettings(sequence=sequence, exact_physics=True, field_strength_t=1.5)
    patient = draw_patient(np.random.default_rng(3), settings)
    label = Tissue.LV_BLOOD if tissue == "blood" else Tissue.MYOCARDIUM + 20
    time = np.arange(0.0, 30.0, STEP_S)
    true = np.linspace(0.0, highest, time.size)
    table = np.zeros((N_LABELS, time.size))
    table[label] = true
    signal = label_signals(table, time, patient.physics, patient.physics.readout)
    signal = signal.centre[:, 0, label]
    medium = getattr(signal_model, tissue)(patient.physics)
    found = concentration.from_baseline(
        signal[None].astype(float), signal[:1].astype(float), patient.physics.readout, medium
    ).values_mmol_l[0]
    tolerance = 0.01 if sequence is SequenceKind.SPOILED_GRADIENT_ECHO else 0.05
    np.testing.assert_allclose(found[20:-2], true[20:-2], rtol=tolerance, atol=0.01 * highest)
