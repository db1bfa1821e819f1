"""Prints statistics of simulated series beside those measured on real ones.

    python -m benchmarks.phantom_statistics [--series 60] [--first-seed 1000]

The real values are read from `real-statistics.md` in the folder PERFUSION_SHARED_DATA (default:
../shared/data beside the checkout); without it, only the phantom's are printed. Both are medians
(5th-95th percentile) over series. The last column says which part of the real 5-95 % range the
phantom's own 5-95 % range covers.
"""

import argparse
import os
import re
from pathlib import Path

import numpy as np

from pipeline.phantom import SliceTruth, stream
from pipeline.study import FloatArray, PerfusionSlice


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, default=60)
    parser.add_argument("--first-seed", type=int, default=1000)
    arguments = parser.parse_args()
    measured: dict[str, list[float]] = {}
    for number, phantom in enumerate(stream(arguments.first_seed)):
        if number == arguments.series:
            break
        one = phantom.study.first_passes[0].slices[0]
        known = phantom.truth.first_passes[0].slices[0]
        values = _sizes(one, known) | _motion(known) | _timing(one, known) | _contrast(one, known)
        for name, value in values.items():
            measured.setdefault(name, []).append(value)
    real = _real_values()
    print(f"{'quantity':58} {'phantom':>24} {'real':>24}  covers")
    for name, values in measured.items():
        low, middle, high = np.nanpercentile(values, [5, 50, 95])
        line = f"{name:58} {middle:8.3g} ({low:.3g} to {high:.3g})".ljust(84)
        if name in real:
            centre, bottom, top = real[name]
            covered = max(0.0, min(high, top) - max(low, bottom)) / max(top - bottom, 1e-9)
            line += f"{centre:8.3g} ({bottom:.3g} to {top:.3g})".ljust(28) + f"{covered:4.0%}"
        print(line)


def _real_values() -> dict[str, tuple[float, float, float]]:
    """Median, 5th and 95th percentile by quantity, from the first column of the table."""
    default = Path(__file__).parents[2] / "shared" / "data"
    file = Path(os.environ.get("PERFUSION_SHARED_DATA", default)) / "real-statistics.md"
    if not file.is_file():
        return {}
    pattern = re.compile(r"^\| +(.+?) \| (-?[\d.]+) \((-?[\d.]+)-(-?[\d.]+)\)")
    found = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        match = pattern.match(line)
        if match:
            name, *numbers = match.groups()
            found[name.strip()] = tuple(float(number) for number in numbers)
    return found


def _sizes(one: PerfusionSlice, known: SliceTruth) -> dict[str, float]:
    pixel = one.geometry.spacing_mm[0]
    pool, wall = known.regions.lv_pool, known.regions.myocardium
    outer = pool | wall
    rows, columns = np.nonzero(outer)
    row, column = rows.mean(), columns.mean()
    thickness = _thickness(wall, pool) * pixel
    size = one.frames.shape[1]
    return {
        "pixel spacing mm": pixel,
        "field of view mm": pixel * size,
        "LV epicardial diameter mm (area equivalent)": 2 * np.sqrt(outer.sum() / np.pi) * pixel,
        "LV cavity diameter mm": 2 * np.sqrt(pool.sum() / np.pi) * pixel,
        "wall thickness mm, mean of 36 directions": float(np.mean(thickness)),
        "wall thickness mm, thinnest 5 %": float(np.percentile(thickness, 5)),
        "wall thickness mm, thickest 5 %": float(np.percentile(thickness, 95)),
        "epicardial axis ratio": _axis_ratio(outer),
        "cavity axis ratio": _axis_ratio(pool),
        "LV centre below image centre mm": (row - (size - 1) / 2) * pixel,
        "LV centre right of image centre mm": (column - (size - 1) / 2) * pixel,
    }


def _thickness(wall: FloatArray, pool: FloatArray) -> FloatArray:
    """Length of wall along 36 rays from the middle of the cavity [pixels]."""
    rows, columns = np.nonzero(pool if pool.any() else wall)
    steps = np.arange(0, wall.shape[0] / 2, 0.2)
    lengths = []
    for angle in np.linspace(0, 2 * np.pi, 36, endpoint=False):
        row = np.rint(rows.mean() + steps * np.sin(angle)).astype(int)
        column = np.rint(columns.mean() + steps * np.cos(angle)).astype(int)
        inside = (row >= 0) & (row < wall.shape[0]) & (column >= 0) & (column < wall.shape[1])
        lengths.append(0.2 * wall[row[inside], column[inside]].sum())
    return np.array(lengths)


def _axis_ratio(mask: FloatArray) -> float:
    if mask.sum() < 10:
        return float("nan")
    spread = np.linalg.eigvalsh(np.cov(np.nonzero(mask)))
    return float(np.sqrt(spread[1] / spread[0]))


def _motion(known: SliceTruth) -> dict[str, float]:
    # the real statistics are of the first pass only: some 25 frames around the peak
    first = slice(max(known.peak_lv_frame - 12, 0), known.peak_lv_frame + 18)
    moved = known.displacement_mm[first]
    step = np.hypot(*np.diff(moved, axis=0).T)
    away = np.linalg.norm(moved[:, None] - moved[None], axis=-1)
    return {
        "largest displacement of the LV in the first pass mm": float(away.max()),
        "vertical range mm": float(np.ptp(moved[:, 0])),
        "horizontal range mm": float(np.ptp(moved[:, 1])),
        "displacement SD mm": float(np.sqrt(moved.var(axis=0).sum())),
        "frame-to-frame step mm, mean": float(step.mean()),
        "frame-to-frame step mm, largest": float(step.max()),
    }


def _curve(one: PerfusionSlice, known: SliceTruth, region: int) -> FloatArray:
    """Mean of the wall, or of what is blood in a pool, where it is in each frame, [time].

    Blood is the brightest 60 % of a pool when it is at its brightest; the same place is followed
    through the series, because before the bolus muscle is brighter than blood.
    """
    inside = known.labels == region
    counts = np.maximum(inside.sum(axis=(1, 2)), 1)
    curve = np.where(inside, one.frames, 0.0).sum(axis=(1, 2)) / counts
    if region != 1:
        top = int(np.argmax(np.where(known.usable, curve, 0.0)))
        place = np.argwhere(inside[top])
        values = one.frames[top][tuple(place.T)]
        place = place[values > np.percentile(values, 40)]
        moved = (known.displacement_mm - known.displacement_mm[top]) / one.geometry.spacing_mm[0]
        at = np.rint(place[None] + moved[:, None]).astype(int)
        at = np.clip(at, 0, one.frames.shape[1] - 1)
        curve = np.array(
            [
                f[rows, columns].mean()
                for f, (rows, columns) in zip(one.frames, at.transpose(0, 2, 1), strict=True)
            ]
        )
    frame = np.arange(curve.size)
    return np.interp(frame, frame[known.usable], curve[known.usable])


def _timing(one: PerfusionSlice, known: SliceTruth) -> dict[str, float]:
    left, right, wall = (_curve(one, known, region) for region in (2, 3, 1))
    smooth = np.convolve(wall, np.ones(3) / 3, mode="same")
    peak, right_peak = int(np.argmax(left)), int(np.argmax(right))
    wall_peak = peak + int(np.argmax(smooth[peak : peak + 25]))
    base = left[: max(known.peak_lv_frame - 12, 2)].mean()
    rise = (left - base) / (left[peak] - base)
    foot = int(np.flatnonzero(rise[:peak] < 0.1)[-1]) if (rise[:peak] < 0.1).any() else 0
    top = int(np.argmax(rise[foot:] > 0.9))
    return {
        "RV peak frame": right_peak,
        "LV foot frame": foot,
        "LV peak frame": peak,
        "wall peak frame": wall_peak,
        "RV to LV peak, frames": peak - right_peak,
        "LV rise 10-90 %, frames": top,
        "LV above 90 % of its rise, frames": int((rise > 0.9).sum()),
        "LV peak to wall peak, frames": wall_peak - peak,
        "LV late level / peak (of the rise)": float(rise[-8:].mean()),
    }


def _contrast(one: PerfusionSlice, known: SliceTruth) -> dict[str, float]:
    left, right, wall = (_curve(one, known, region) for region in (2, 3, 1))
    peak, right_peak = int(np.argmax(left)), int(np.argmax(right))
    before = slice(0, max(right_peak - 6, 2))
    base = {"l": left[before].mean(), "r": right[before].mean(), "w": wall[before].mean()}
    frame = one.frames[known.reference_frame]
    pool = frame[known.regions.lv_pool]
    dark = pool < 0.5 * (np.percentile(pool, 95) + wall[known.reference_frame])
    noise = _noise(one)
    first = one.frames[0]
    body = first[first > 2 * noise]
    sector = {
        n: first[known.sectors == n].mean() if (known.sectors == n).any() else np.nan
        for n in range(1, 13)
    }
    wall_top = np.nanmax(wall[peak : peak + 25])
    return {
        "RV peak / baseline": right[right_peak] / base["r"],
        "LV peak / baseline": left[peak] / base["l"],
        "wall peak / baseline": wall_top / base["w"],
        "LV / wall at LV peak": left[peak] / wall[peak],
        "RV / LV at RV peak": right[right_peak] / left[right_peak],
        "LV / RV at LV peak": left[peak] / right[peak],
        "RV peak / LV peak": right[right_peak] / left[peak],
        "wall rise / LV rise": (wall_top - base["w"]) / (left[peak] - base["l"]),
        "wall upslope / LV upslope": _upslope(wall) / _upslope(left),
        "dark share of the manual cavity at LV peak": float(dark.mean()),
        "SNR wall baseline": base["w"] / noise,
        "SNR wall peak": wall_top / noise,
        "CNR LV - wall at LV peak": (left[peak] - wall[peak]) / noise,
        "CNR wall rise": (wall_top - base["w"]) / noise,
        "baseline septum / lateral wall (coil)": np.nanmean([sector[n] for n in (2, 3, 8, 9)])
        / np.nanmean([sector[n] for n in (5, 6, 11, 12)])
        if np.isfinite([sector[2], sector[8]]).any()
        else np.nan,
        "brightest 1 % of the body / wall, baseline": np.percentile(body, 99) / base["w"],
        "share of exactly zero pixels": float((one.frames[5] == 0).mean()),
    }


def _upslope(curve: FloatArray) -> float:
    smooth = np.convolve(curve, np.ones(3) / 3, mode="valid")
    return float(np.max(np.diff(smooth)))


def _noise(one: PerfusionSlice) -> float:
    """SD of the noise around the heart by the Laplacian (Immerkaer 1996), late frames."""
    rows = slice(one.frames.shape[1] // 4, -one.frames.shape[1] // 4)
    late = one.frames[-10:, rows, rows]
    change = (late[1:] - late[:-1]) / np.sqrt(2)
    return float(np.median(np.abs(change)) / 0.6745)


if __name__ == "__main__":
    main()
