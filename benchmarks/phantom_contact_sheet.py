"""Draws simulated series over time: one row per seed, nothing chosen by hand.

    python -m benchmarks.phantom_contact_sheet --out docs/phantom.png [--first-seed 1] [--rows 10]
    python -m benchmarks.phantom_contact_sheet --others --out docs/phantom-others.png --rows 4

Columns: the whole picture at the LV peak; then the heart before the bolus, in the right ventricle,
on its way into the left, at the LV peak, at the peak of the wall, and late. The others:
cine at the end of diastole and of systole, T1 map, late enhancement, three planes of the localizer.
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import zoom

from pipeline.phantom import PhantomSettings, SliceTruth, stream
from pipeline.phantom.localizer import localizer
from pipeline.phantom.others import other_pictures
from pipeline.study import FloatArray, PerfusionSlice

CELL = 112
LONGEST_T1_S = 2.2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--rows", type=int, default=10)
    parser.add_argument("--others", action="store_true", help="the series that are no perfusion")
    arguments = parser.parse_args()
    first, number = arguments.first_seed, arguments.rows
    rows = _others(first, number) if arguments.others else _perfusion(first, number)
    sheet = np.clip(np.concatenate(rows), 0, 255).astype(np.uint8)
    Image.fromarray(sheet).save(arguments.out, optimize=True)
    print(f"{arguments.out}: {sheet.shape[1]} x {sheet.shape[0]} pixels")


def _perfusion(first_seed: int, number: int) -> list[FloatArray]:
    rows = []
    for phantom, _ in zip(stream(first_seed), range(number), strict=False):
        truth = phantom.truth.first_passes[0]
        rows.append(_row(phantom.study.first_passes[0].slices[0], truth.slices[0]))
        print(
            f"seed {phantom.truth.seed}: {phantom.truth.description}, {truth.state}, "
            f"{truth.slices[0].level}"
        )
    return rows


def _others(first_seed: int, number: int) -> list[FloatArray]:
    rows = []
    for seed in range(first_seed, first_seed + number):
        settings = PhantomSettings()
        one = other_pictures(seed, settings)[1]
        bright = [one.cine[0], one.cine[10], one.late]
        bright += [plane.pixels for plane in localizer(seed, settings)]
        cells = [_cell(picture, float(np.percentile(picture, 99))) for picture in bright]
        cells.insert(2, _cell(one.t1_s, LONGEST_T1_S))
        rows.append(np.concatenate(cells, axis=1))
    return rows


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
