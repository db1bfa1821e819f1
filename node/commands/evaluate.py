"""`perfusion-node evaluate`: score the anatomical stages against truth."""

import argparse
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from node.errors import UsageError

if TYPE_CHECKING:
    from pipeline.networks import AnatomyNetwork
    from pipeline.training.score import Score, Summary

HELP = "score the pipeline's anatomical stages on held-out phantoms and on real series"

_ROWS = {
    "peak_frames": "peak LV frame error, frames",
    "box_dice": "heart box Dice",
    "myocardium_dice": "myocardium Dice",
    "lv_pool_dice": "LV pool Dice",
    "wall_to_edges_dice": "myocardium to its edges, Dice",
    "pool_to_edges_dice": "LV pool to the edge, Dice",
    "rv_pool_dice": "RV pool Dice",
    "anterior_mm": "anterior insertion point, mm",
    "inferior_mm": "inferior insertion point, mm",
    "predicted_dice": "myocardium Dice, predicted",
    "predicted_pool_dice": "LV pool Dice, predicted",
    "sector_share": "myocardium in its AHA segment",
    "failed": "slices not analysed",
}
_FORETOLD = {
    "myocardium_dice": "predicted_dice",
    "lv_pool_dice": "predicted_pool_dice",
}
_DEVELOPMENT_SPACING_MM = 1.15
"""`real-segmentation-dev` has no header: with this pixel its hearts have the usual size, an
epicardial diameter of 66 mm at the median."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("--first-seed", type=int, default=900, help="first held-out phantom")
    parser.add_argument("--studies", type=int, default=20, help="number of phantom studies")
    parser.add_argument(
        "--shared-data",
        type=Path,
        default=os.environ.get("PERFUSION_SHARED_DATA"),
        help="folder of real series (default: PERFUSION_SHARED_DATA; without, phantoms only)",
    )
    parser.add_argument("--weights", type=Path, help="trained here (default: those that ship)")
    parser.add_argument("--json", action="store_true", help="print every score for machines")


def run(arguments: argparse.Namespace) -> int:
    """Print one table for the phantom and one for each collection of real series."""
    from node.weights import anatomy_network
    from pipeline.training.score import foresight, held_out_scores, summarise

    network = anatomy_network(arguments.weights)
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.studies)
    groups: dict[str, list[Score]] = {}
    try:
        groups["held-out phantoms"] = [score for _, score in held_out_scores(seeds, network)]
    except ValueError as error:
        raise UsageError(str(error)) from error
    if arguments.shared_data is not None:
        groups["real series ge-first-pass"] = [
            _ge(arguments.shared_data / "ge-first-pass", network)
        ]
        groups["real series real-segmentation-dev"] = _development(
            arguments.shared_data / "real-segmentation-dev", network
        )
    if arguments.json:
        print(
            json.dumps({name: [asdict(one) for one in scores] for name, scores in groups.items()})
        )
        return 0
    for name, scores in groups.items():
        _print_table(name, summarise(scores))
        for key, by in _FORETOLD.items():
            correlation = foresight(scores, key, by)
            if correlation is not None:
                print(f"{'correlation of predicted with ' + _ROWS[key]:50}{correlation:8.2f}")
    return 0


def _print_table(name: str, table: "dict[str, Summary]") -> None:
    print(f"\n{name}")
    print(f"{'':32}{'mean':>8}{'SD':>8}{'95 %':>8}{'worst':>8}{'n':>6}")
    for key, title in _ROWS.items():
        if key in table:
            row = table[key]
            numbers = "".join(f"{value:8.3f}" for value in (row.mean, row.sd, row.poor, row.worst))
            print(f"{title:32}{numbers}{row.n:6}")


def _ge(folder: Path, network: "AnatomyNetwork") -> "Score":
    """Score one slice with an expert's outlines."""
    from scipy.io import loadmat

    from node.config import Analysis
    from node.dicom_read import read_study
    from pipeline.training.score import score_outlines

    files = sorted(path for path in folder.iterdir() if not path.suffix)
    source = read_study(files, Analysis()).study.first_passes[0].slices[0]
    masks = loadmat(str(folder / "GoldStandard.mat"))
    return score_outlines(
        source.frames,
        source.time_s,
        source.geometry.spacing_mm,
        {
            "myocardium": masks["MyoMask"] > 0,
            "lv_pool": masks["SXmask"] > 0,
            "rv_pool": masks["DXmask"] > 0,
        },
        network,
        aligned=False,
    )


def _development(folder: Path, network: "AnatomyNetwork") -> "list[Score]":
    """Score aligned, cropped series; one frame is taken for one second."""
    import numpy as np
    from scipy.ndimage import binary_fill_holes

    from pipeline.training.score import score_outlines

    scores = []
    for path in sorted(folder.glob("*.npz")):
        with np.load(path, allow_pickle=False) as content:
            frames, labels = content["frames"].astype(np.float32), content["labels"]
        wall = labels == 1
        scores.append(
            score_outlines(
                frames,
                np.arange(len(frames), dtype=float),
                (_DEVELOPMENT_SPACING_MM, _DEVELOPMENT_SPACING_MM),
                {"myocardium": wall, "lv_pool": binary_fill_holes(wall) & ~wall},
                network,
                aligned=True,
            )
        )
    return scores
