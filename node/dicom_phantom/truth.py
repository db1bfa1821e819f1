"""The truth of a simulated study on disk: arrays in one .npz, the rest in one .json."""

import json
from pathlib import Path

import numpy as np

from pipeline.phantom import FirstPassTruth, PhantomStudy, SliceTruth
from pipeline.study import PerfusionSlice


def write_truth(phantom: PhantomStudy, folder: Path) -> None:
    """Write `truth.npz` and `truth.json` into the folder.

    Array names are `<first pass>/<slice>/<what>`; the JSON says the same in words and holds
    numbers, points in pixels (row, column) and in mm (LPS).
    """
    arrays: dict[str, np.ndarray] = {}
    passes = []
    for first_pass, truth in zip(
        phantom.study.first_passes, phantom.truth.first_passes, strict=True
    ):
        passes.append(_first_pass(truth))
        arrays[f"{truth.label}/input_time_s"] = truth.input_function.time_s
        arrays[f"{truth.label}/input_mmol_l"] = truth.input_function.concentration_mmol_l
        slices = []
        for number, (one, known) in enumerate(zip(first_pass.slices, truth.slices, strict=True)):
            slices.append(_slice(one, known))
            for name, array in _arrays(known).items():
                arrays[f"{truth.label}/{number}/{name}"] = array
        passes[-1]["slices"] = slices
    document = {
        "seed": phantom.truth.seed,
        "description": phantom.truth.description,
        "first_passes": passes,
    }
    np.savez_compressed(folder / "truth.npz", allow_pickle=False, **arrays)
    (folder / "truth.json").write_text(json.dumps(document, indent=1), encoding="utf-8")


def _first_pass(truth: FirstPassTruth) -> dict[str, object]:
    return {
        "label": truth.label,
        "state": str(truth.state),
        "heart_rate_bpm": truth.heart_rate_bpm,
        "haematocrit": truth.physics.haematocrit,
        "t1_blood_s": truth.physics.t1_blood_s,
        "t1_myocardium_s": truth.physics.t1_myocardium_s,
        "saturation_efficiency": truth.physics.readout.saturation_efficiency,
        "flip_scale": truth.flip_scale,
        "residual_mmol_l": truth.residual_mmol_l,
        "arrival_s": truth.input_function.arrival_s,
        "first_pass_end_s": truth.input_function.first_pass_end_s,
        "segment_mbf_ml_min_g": {str(k): v for k, v in truth.segment_mbf_ml_min_g.items()},
    }


def _slice(one: PerfusionSlice, truth: SliceTruth) -> dict[str, object]:
    points = {
        "anterior": truth.insertion_points.anterior,
        "inferior": truth.insertion_points.inferior,
    }
    return {
        "level": str(truth.level),
        "reference_frame": truth.reference_frame,
        "peak_lv_frame": truth.peak_lv_frame,
        "box": [
            [truth.box.row_start, truth.box.row_stop],
            [truth.box.column_start, truth.box.column_stop],
        ],
        "insertion_points_pixel": points,
        "insertion_points_mm": {
            name: one.geometry.to_patient_mm(np.asarray(point)).tolist()
            for name, point in points.items()
        },
        "image_position_mm": one.geometry.position_mm,
    }


def _arrays(truth: SliceTruth) -> dict[str, np.ndarray]:
    arrays = {
        "myocardium": truth.regions.myocardium,
        "lv_pool": truth.regions.lv_pool,
        "rv_pool": truth.regions.rv_pool,
        "sectors": truth.sectors,
        "mbf_ml_min_g": truth.mbf_ml_min_g,
        "displacement_mm": truth.displacement_mm,
        "labels": truth.labels,
        "usable": truth.usable,
    }
    if truth.field_mm is not None:
        arrays["field_mm"] = truth.field_mm
    return arrays
