"""Siemens classic: one series per slice, or all slices in one; AcquisitionTime per image."""

from collections.abc import Iterator

from pydicom.dataset import Dataset

from node.dicom_phantom.common import (
    base_dataset,
    clock,
    put_geometry,
    put_pixels,
    put_readout,
)
from pipeline.phantom import PhantomStudy
from pipeline.study import FirstPass, Physics, Readout

FIRST_PASS_INTERVAL_S = 900.0


def siemens_datasets(phantom: PhantomStudy, *, series_per_slice: bool = True) -> Iterator[Dataset]:
    """Yield the images of both first passes."""
    peak = max(
        float(one.frames.max()) for first in phantom.study.first_passes for one in first.slices
    )
    for number, first_pass in enumerate(phantom.study.first_passes):
        yield from _first_pass(
            phantom, number, first_pass, 4000.0 / peak, per_slice=series_per_slice
        )


def _first_pass(
    phantom: PhantomStudy, number: int, first_pass: FirstPass, scale: float, *, per_slice: bool
) -> Iterator[Dataset]:
    seed, start = phantom.truth.seed, 600.0 + number * FIRST_PASS_INTERVAL_S
    n_slices = len(first_pass.slices)
    for position, one in enumerate(first_pass.slices):
        key = f"{first_pass.label}/{position if per_slice else 'all'}"
        for frame, time_s in enumerate(one.time_s):
            instance = frame + 1 if per_slice else frame * n_slices + position + 1
            dataset = base_dataset(seed, 75.0, key, instance)
            dataset.Manufacturer = "SIEMENS"
            dataset.ManufacturerModelName = "Simulated"
            dataset.SoftwareVersions = "syngo MR B17"
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
            dataset.SeriesNumber = 10 * (number + 1) + (position if per_slice else 0)
            dataset.SeriesDescription = f"SIMULATED {first_pass.label} perfusion tfl sr"
            dataset.ProtocolName = dataset.SeriesDescription
            dataset.SeriesTime = clock(start)
            dataset.AcquisitionTime = clock(start + float(time_s))
            dataset.ContentTime = clock(start + float(time_s) + 10.0)
            dataset.AcquisitionNumber = 1
            dataset.SequenceName = "*tfl2d1"
            _put_physics(dataset, first_pass.physics, first_pass.physics.readout)
            dataset.TriggerTime = f"{1e3 * float(one.time_s[0]):.1f}"
            put_geometry(dataset, one.geometry)
            put_pixels(dataset, one.frames[frame] * scale)
            yield dataset


def _put_physics(dataset: Dataset, physics: Physics, readout: Readout) -> None:
    put_readout(dataset, physics, readout)
    # the vendor's RepetitionTime is the time per slice, not between two pulses
    train = (
        readout.saturation_delay_s + 2 * readout.pulses_before_centre * readout.repetition_time_s
    )
    dataset.RepetitionTime = f"{train * 1e3:.3f}"
    dataset.InversionTime = f"{readout.time_to_centre_s * 1e3:.3f}"
