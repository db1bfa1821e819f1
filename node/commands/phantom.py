"""`perfusion-node phantom`: write a synthetic study as DICOM, with its truth beside it."""

import argparse
from pathlib import Path

HELP = "write a synthetic study as DICOM, with its truth beside it"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--seed", type=int, required=True, help="the same seed, the same study")
    parser.add_argument("--dialect", choices=("siemens",), default="siemens")
    parser.add_argument("--frames", type=int, default=70, help="frames of each first pass")
    parser.add_argument("--slices", type=int, default=3, help="short-axis slices, 1 to 5")
    parser.add_argument("--matrix", type=int, default=160, help="rows and columns")


def run(arguments: argparse.Namespace) -> int:
    """Write DIR/dicom/*.dcm, DIR/truth.npz and DIR/truth.json."""
    from node.dicom_phantom import siemens_datasets, write_truth
    from pipeline.phantom import PhantomSettings, simulate

    settings = PhantomSettings(
        n_frames=arguments.frames, n_slices=arguments.slices, matrix=arguments.matrix
    )
    phantom = simulate(arguments.seed, settings)
    images = arguments.out / "dicom"
    images.mkdir(parents=True, exist_ok=True)
    number = 0
    for number, dataset in enumerate(siemens_datasets(phantom), start=1):
        dataset.save_as(images / f"{number:05d}.dcm", enforce_file_format=True)
    write_truth(phantom, arguments.out)
    print(f"{number} images in {images}, truth beside them ({phantom.truth.description}).")
    return 0
