"""`perfusion-node phantom`: write a synthetic study as DICOM, with its truth beside it."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from node.errors import UsageError

if TYPE_CHECKING:
    from pipeline.phantom import PhantomSettings

HELP = "write a synthetic study as DICOM, with its truth beside it"

_DIALECTS = (
    "siemens",
    "siemens-single-series",
    "philips",
    "ge",
    "enhanced",
    "enhanced-philips",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of the command."""
    parser.add_argument("--out", type=Path, required=True, help="folder to write into")
    parser.add_argument("--seed", type=int, required=True, help="the same seed, the same study")
    parser.add_argument("--dialect", choices=_DIALECTS, default="siemens")
    parser.add_argument("--frames", type=int, default=70, help="frames of each first pass")
    parser.add_argument("--slices", type=int, default=3, help="short-axis slices, 1 to 5")
    parser.add_argument("--matrix", type=int, default=160, help="rows and columns")
    parser.add_argument(
        "--motion-mm", type=float, help="largest shift by breathing (default: drawn)"
    )
    parser.add_argument(
        "--contrast-to-noise", type=float, help="peak rise of the wall over noise (default: drawn)"
    )
    parser.add_argument(
        "--input-function",
        choices=("same", "dual-sequence", "dual-bolus"),
        default="same",
        help="whether the input function has a series of its own",
    )
    parser.add_argument(
        "--fields", action="store_true", help="write the whole field of motion of every frame"
    )
    parser.add_argument(
        "--unnamed", action="store_true", help="descriptions do not tell rest from stress"
    )
    parser.add_argument(
        "--others",
        action="store_true",
        help="add series that are no perfusion: localizer, cine, late enhancement, T1 map",
    )


def run(arguments: argparse.Namespace) -> int:
    """Write DIR/dicom/*.dcm, DIR/truth.npz and DIR/truth.json."""
    from node.dicom_phantom import study_datasets, write_truth
    from pipeline.errors import InvalidStudyError
    from pipeline.phantom import simulate

    images = arguments.out / "dicom"
    if images.is_dir() and any(images.iterdir()):
        raise UsageError(f"{images} is not empty: two studies in one folder would be mixed up")
    try:
        settings = _settings(arguments)
    except InvalidStudyError as error:
        raise UsageError(str(error)) from error
    phantom = simulate(arguments.seed, settings)
    images.mkdir(parents=True, exist_ok=True)
    number = 0
    datasets = study_datasets(
        phantom, arguments.dialect, named=not arguments.unnamed, others=arguments.others
    )
    for number, dataset in enumerate(datasets, start=1):
        dataset.save_as(images / f"{number:05d}.dcm", enforce_file_format=True)
    write_truth(phantom, arguments.out)
    print(f"{number} images in {images}, truth beside them ({phantom.truth.description}).")
    return 0


def _settings(arguments: argparse.Namespace) -> "PhantomSettings":
    from pipeline.phantom import PhantomSettings
    from pipeline.study import InputKind

    kinds = {"dual-sequence": InputKind.DUAL_SEQUENCE, "dual-bolus": InputKind.DUAL_BOLUS}
    return PhantomSettings(
        n_frames=arguments.frames,
        n_slices=arguments.slices,
        matrix=arguments.matrix,
        motion_mm=arguments.motion_mm,
        contrast_to_noise=arguments.contrast_to_noise,
        input_kind=kinds.get(arguments.input_function),
        fields=arguments.fields,
    )
