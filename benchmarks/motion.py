"""Prints accuracy and time of motion compensation, beside registration toolkits on the same series.

    python -m benchmarks.motion [--studies 4] [--slices 2] [--first-seed 500] [--only NAME ...]

The series are simulated: breathing of 15 mm, 60 frames of 160 x 160. Error
is the distance between true and found place of the myocardium in usable frames, in pixels; Dice is
that of each frame's myocardium, brought back, with the reference frame's; roughness is the mean
second difference over time of the wall pixels' signal, over their rise. Time is processor time of a
slice. SimpleITK, itk-elastix and ANTsPy are compared where they are installed.
"""

import argparse
import importlib.util
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from pipeline.motion import align
from pipeline.phantom import PhantomSettings, SliceTruth, simulate
from pipeline.result import AlignedSeries, Box
from pipeline.study import FloatArray, PerfusionSlice, State

AROUND_MM = 25.0
"""The toolkits get the box with so much around it: more would cost them time for nothing."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One slice with its truth."""

    source: PerfusionSlice
    truth: SliceTruth

    @property
    def spacing_mm(self) -> FloatArray:
        """Between rows, between columns."""
        return np.asarray(self.source.geometry.spacing_mm)

    @property
    def crop(self) -> Box:
        """The box with its surroundings, inside the image."""
        box, (rows, columns) = self.truth.box, self.source.frames.shape[1:]
        around = [round(AROUND_MM / spacing) for spacing in self.spacing_mm]
        return Box(
            row_start=max(box.row_start - around[0], 0),
            row_stop=min(box.row_stop + around[0], rows),
            column_start=max(box.column_start - around[1], 0),
            column_stop=min(box.column_stop + around[1], columns),
        )


Method = Callable[[Case], FloatArray]
"""Displacement in pixels [time, 2, row, column]: the heart at x in the reference is at x + it."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=4)
    parser.add_argument("--slices", type=int, default=2)
    parser.add_argument("--first-seed", type=int, default=500)
    parser.add_argument("--motion-mm", type=float, default=15.0)
    parser.add_argument("--contrast-to-noise", type=float)
    parser.add_argument("--only", nargs="*", choices=[name for name, _, _ in METHODS])
    arguments = parser.parse_args()
    cases = [case for seed in range(arguments.studies) for case in make(arguments, seed)]
    print(f"{len(cases)} series")
    print(f"{'method':34}{'error':>7}{'95 %':>7}{'Dice':>8}{'roughness':>11}{'s/slice':>9}")
    for name, package, method in METHODS:
        if arguments.only and name not in arguments.only:
            continue
        if package and importlib.util.find_spec(package) is None:
            print(f"{name:34}not compared: {package} is not installed")
            continue
        report(name, method, cases)


def make(arguments: argparse.Namespace, number: int) -> list[Case]:
    settings = PhantomSettings(
        states=(State.STRESS if number % 2 else State.REST,),
        n_slices=arguments.slices,
        n_frames=60,
        motion_mm=arguments.motion_mm,
        contrast_to_noise=arguments.contrast_to_noise,
        fields=True,
    )
    phantom = simulate(arguments.first_seed + number, settings)
    slices = phantom.study.first_passes[0].slices
    truths = phantom.truth.first_passes[0].slices
    return [Case(source=one, truth=known) for one, known in zip(slices, truths, strict=True)]


def report(name: str, method: Method, cases: list[Case]) -> None:
    errors, overlaps, rough, seconds = [], [], [], 0.0
    for case in cases:
        started = time.process_time()
        field = method(case)
        seconds += time.process_time() - started
        errors.append(error_pixels(case, field))
        overlaps.append(overlap(case, field))
        rough.append(roughness(case, field))
    error = np.concatenate(errors)
    print(
        f"{name:34}{error.mean():7.2f}{np.percentile(error, 95):7.2f}"
        f"{np.concatenate(overlaps).mean():8.3f}{np.mean(rough):11.4f}{seconds / len(cases):9.2f}",
        flush=True,
    )


def error_pixels(case: Case, field: FloatArray) -> FloatArray:
    wall, usable = case.truth.regions.myocardium, case.truth.usable
    true_pixels = case.truth.field_mm / case.spacing_mm[:, None, None]
    return np.linalg.norm((field - true_pixels)[usable][:, :, wall], axis=1).ravel()


def overlap(case: Case, field: FloatArray) -> FloatArray:
    walls = np.asarray(case.truth.labels == 1, dtype=np.float32)
    brought_back = pull(walls, field) > 0.5
    reference = brought_back[case.truth.reference_frame]
    both = (brought_back & reference).sum(axis=(1, 2))
    dice = 2 * both / (brought_back.sum(axis=(1, 2)) + reference.sum())
    return dice[case.truth.usable]


def roughness(case: Case, field: FloatArray) -> float:
    curves = pull(case.source.frames, field)[:, case.truth.regions.myocardium]
    curves = curves[case.truth.usable]
    rise = np.ptp(curves.mean(axis=1))
    return float(np.abs(np.diff(curves, 2, axis=0)).mean() / rise)


def pull(images: FloatArray, field: FloatArray) -> FloatArray:
    grid = np.indices(images.shape[1:])
    return np.stack(
        [
            ndimage.map_coordinates(image, grid + by, order=1, mode="nearest")
            for image, by in zip(images, field, strict=True)
        ]
    )


def nothing(case: Case) -> FloatArray:
    n_frames, rows, columns = case.source.frames.shape
    return np.zeros((n_frames, 2, rows, columns))


def _aligned(case: Case) -> AlignedSeries:
    known, source = case.truth, case.source
    return align(
        source.frames, source.time_s, known.box, known.reference_frame, source.geometry.spacing_mm
    )


def ours(case: Case) -> FloatArray:
    """Run the pipeline's own."""
    found = _aligned(case)
    if found.displacement_mm is not None:
        return found.displacement_mm / case.spacing_mm[:, None, None]
    return nothing(case) + (found.bulk_displacement_mm / case.spacing_mm)[:, :, None, None]


def ours_rigid(case: Case) -> FloatArray:
    """Take only the rigid part of the pipeline's own; the time is that of all."""
    found = _aligned(case)
    return nothing(case) + (found.bulk_displacement_mm / case.spacing_mm)[:, :, None, None]


def simple_itk(case: Case) -> FloatArray:
    """Rigid, then B-spline; mutual information; each frame to the reference frame."""
    import SimpleITK as sitk  # noqa: N813  as its own documentation has it

    inside = case.crop.index
    frames = [sitk.GetImageFromArray(f.astype(np.float32)) for f in case.source.frames[:, *inside]]
    fixed = frames[case.truth.reference_frame]
    field = nothing(case)
    for number, moving in enumerate(frames):
        rigid = _sitk_step(sitk, fixed, moving, sitk.Euler2DTransform(), None)
        mesh = [
            max(round(n * spacing / 25), 2)
            for n, spacing in zip(fixed.GetSize(), case.spacing_mm[::-1], strict=True)
        ]
        spline = sitk.BSplineTransformInitializer(fixed, mesh)
        spline = _sitk_step(sitk, fixed, moving, spline, rigid)
        whole = sitk.CompositeTransform([rigid, spline])
        found = sitk.TransformToDisplacementField(
            whole, sitk.sitkVectorFloat64, fixed.GetSize(), fixed.GetOrigin()
        )
        across_down = sitk.GetArrayFromImage(found)
        field[number][:, *inside] = across_down[..., ::-1].transpose(2, 0, 1)
    return field


def _sitk_step(sitk, fixed, moving, transform, before):  # noqa: ANN001, ANN202  an optional package
    registration = sitk.ImageRegistrationMethod()
    registration.SetMetricAsMattesMutualInformation(32)
    registration.SetInterpolator(sitk.sitkLinear)
    registration.SetShrinkFactorsPerLevel([2, 1])
    registration.SetSmoothingSigmasPerLevel([1, 0])
    if before is None:
        transform.SetCenter([n / 2 for n in fixed.GetSize()])
        registration.SetOptimizerAsRegularStepGradientDescent(0.5, 0.001, 200)
        registration.SetOptimizerScalesFromPhysicalShift()
    else:
        registration.SetMovingInitialTransform(before)
        registration.SetOptimizerAsLBFGSB(numberOfIterations=50)
    registration.SetInitialTransform(transform, inPlace=False)
    try:
        return registration.Execute(fixed, moving)
    except RuntimeError:  # it ran out of the image: the frame stays as it was
        return transform


def elastix_groupwise(case: Case) -> FloatArray:
    """All frames at once, principal components (doi 10.1016/j.media.2015.12.004), B-spline."""
    import itk

    inside = case.crop.index
    stack = itk.image_from_array(np.ascontiguousarray(case.source.frames[:, *inside], np.float32))
    parameters = itk.ParameterObject.New()
    settings = parameters.GetDefaultParameterMap("groupwise", 3, 25.0 / case.spacing_mm[0])
    settings["Metric"] = ["PCAMetric2"]
    parameters.AddParameterMap(settings)
    _, found = itk.elastix_registration_method(stack, stack, parameter_object=parameters)
    vectors = itk.array_from_image(itk.transformix_deformation_field(stack, found))
    from_mean = vectors[..., 1::-1].transpose(0, 3, 1, 2).astype(float)
    field = nothing(case)
    field[:, :, *inside] = _relative(from_mean, case.truth.reference_frame)
    return field


def _relative(from_mean: FloatArray, reference: int) -> FloatArray:
    """Fields on the mean geometry, expressed on that of the reference frame."""
    grid = np.indices(from_mean.shape[2:]).astype(float)
    back = np.zeros_like(grid)
    for _ in range(20):
        back = -pull(from_mean[reference], np.stack([back, back]))
    return np.stack([back + pull(one, np.stack([back, back])) for one in from_mean])


def ants(case: Case) -> FloatArray:
    """Affine and SyN, mutual information; each frame to the reference frame."""
    import ants as toolkit
    import pandas as pd

    inside = case.crop.index
    frames = [toolkit.from_numpy(f.astype(np.float32)) for f in case.source.frames[:, *inside]]
    fixed = frames[case.truth.reference_frame]
    points = np.indices(fixed.shape).reshape(2, -1).astype(float)
    table = pd.DataFrame({"x": points[0], "y": points[1]})
    field = nothing(case)
    for number, moving in enumerate(frames):
        found = toolkit.registration(fixed, moving, "SyN", syn_metric="mattes")
        at = toolkit.apply_transforms_to_points(2, table, found["fwdtransforms"])
        moved = at[["x", "y"]].to_numpy().T - points
        field[number][:, *inside] = moved.reshape(2, *fixed.shape)
    return field


METHODS: list[tuple[str, str | None, Method]] = [
    ("nothing", None, nothing),
    ("ours", None, ours),
    ("ours, rigid part", None, ours_rigid),
    ("SimpleITK rigid + B-spline, MI", "SimpleITK", simple_itk),
    ("itk-elastix groupwise, PCA", "itk", elastix_groupwise),
    ("ANTsPy SyN, MI", "ants", ants),
]

if __name__ == "__main__":
    main()
