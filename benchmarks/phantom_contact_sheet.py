"""Draws simulated series over time: one row per seed, nothing chosen by hand.

    python benchmarks/phantom_contact_sheet.py --out docs/phantom.png [--first-seed 1] [--rows 10]

Columns: the whole picture at the LV peak; then the heart before the bolus, in the right ventricle,
on its way into the left, at the LV peak, at the peak of the wall, and late.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import zoom

from pipeline.phantom import SliceTruth, stream
from pipeline.study import FloatArray, PerfusionSlice

CELL = 112


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--rows", type=int, default=10)
    arguments = parser.parse_args()
    rows = []
    for phantom, _ in zip(stream(arguments.first_seed), range(arguments.rows), strict=False):
        truth = phantom.truth.first_passes[0]
        rows.append(_row(phantom.study.first_passes[0].slices[0], truth.slices[0]))
        print(
            f"seed {phantom.truth.seed}: {phantom.truth.description}, {truth.state}, "
            f"{truth.slices[0].level}"
        )
    sheet = np.clip(np.concatenate(rows), 0, 255).astype(np.uint8)
    Image.fromarray(sheet).save(arguments.out, optimize=True)
    print(f"{arguments.out}: {sheet.shape[1]} x {sheet.shape[0]} pixels")


def _row(one: PerfusionSlice, known: SliceTruth) -> FloatArray:
    peak, last = known.peak_lv_frame, one.frames.shape[0] - 1
    top = float(np.percentile(one.frames[:, *known.box.index], 99))
    middle = [
        (known.box.row_start + known.box.row_stop) // 2,
        (known.box.column_start + known.box.column_stop) // 2,
    ]
    half = int(0.72 * max(known.box.shape))
    window = tuple(slice(max(value - half, 0), value + half) for value in middle)
    shown = [min(max(peak + step, 0), last) for step in (-last, -8, -4, 0, 7, 30)]
    cells = [_cell(one.frames[frame][window], top) for frame in shown]
    return np.concatenate([_cell(one.frames[peak], top), *cells], axis=1)


def _cell(picture: FloatArray, top: float) -> FloatArray:
    """Scale a picture to one cell and to 0-255."""
    factors = [CELL / size for size in picture.shape]
    return np.clip(zoom(picture, factors, order=1) / top * 255, 0, 255)


if __name__ == "__main__":
    main()
