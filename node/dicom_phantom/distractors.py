"""Series of the same examination that are no perfusion: localizer, cine, late enhancement, T1 map.

Their pictures are made from the perfusion frames: what matters is that they are there, lie in the
same places, and are not to be analysed.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from pydicom.dataset import Dataset
from scipy.ndimage import zoom

from node.dicom_phantom.common import Subject, clock, put_pixels, put_window, start_image
from node.dicom_phantom.pictures import Acquisition, Picture
from pipeline.study import FloatArray

_CINE_PHASES = 25
_LARGEST_STORED = 4095.0


def distractors(subject: Subject, made: list[Acquisition]) -> Iterator[Dataset]:
    """Yield a localizer before the first acquisition, and the other series after the last."""
    first, last = made[0], made[-1]
    late = [picture for picture in last.pictures if picture.frame == last.n_frames - 1]
    yield from _localizer(subject, first)
    yield from _cine(subject, last, late)
    yield from _late_enhancement(subject, last, late)
    yield from _t1_map(subject, last, late)


def _localizer(subject: Subject, acquisition: Acquisition) -> Iterator[Dataset]:
    """Three orthogonal planes, once."""
    picture = acquisition.pictures[0]
    axes = np.eye(3)
    for instance, (along, down) in enumerate(((0, 1), (0, 2), (1, 2)), start=1):
        sign = 1.0 if down == 1 else -1.0
        geometry = replace(
            picture.geometry,
            position_mm=(-180.0, -180.0, 180.0),
            column_direction=_triple(axes[along]),
            row_direction=_triple(sign * axes[down]),
        )
        placed = replace(picture, geometry=geometry, time_s=60.0 + instance)
        dataset = _image(subject, acquisition, placed, "localizer", instance, picture.pixels)
        dataset.SeriesNumber, dataset.SeriesDescription = 901, "SIMULATED localizer"
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        yield dataset


def _cine(subject: Subject, acquisition: Acquisition, late: list[Picture]) -> Iterator[Dataset]:
    """Phases of one beat in the first slice."""
    picture = late[0]
    beat_ms = 60e3 / acquisition.heart_rate_bpm
    for phase in range(_CINE_PHASES):
        size = 1.0 - 0.06 * (1.0 - np.cos(2 * np.pi * phase / _CINE_PHASES))
        pixels = _shrunk(picture.pixels, size)
        dataset = _image(subject, acquisition, picture, "cine", phase + 1, pixels)
        dataset.SeriesNumber, dataset.SeriesDescription = 902, "SIMULATED cine SAX"
        dataset.TriggerTime = f"{beat_ms * phase / _CINE_PHASES:.1f}"
        dataset.AcquisitionTime = clock(acquisition.start_s + 200.0)
        dataset.CardiacNumberOfImages = _CINE_PHASES
        yield dataset


def _late_enhancement(
    subject: Subject, acquisition: Acquisition, late: list[Picture]
) -> Iterator[Dataset]:
    """One image per slice, minutes later."""
    for picture in late:
        later = replace(picture, time_s=picture.time_s + 600.0)
        dataset = _image(subject, acquisition, later, "late", picture.position + 1, picture.pixels)
        dataset.SeriesNumber, dataset.SeriesDescription = 903, "SIMULATED LGE psir SAX"
        dataset.InversionTime = "300"
        yield dataset


def _t1_map(subject: Subject, acquisition: Acquisition, late: list[Picture]) -> Iterator[Dataset]:
    """One map of T1 in milliseconds."""
    picture = late[0]
    brightness = picture.pixels / max(float(picture.pixels.max()), 1e-9)
    dataset = _image(subject, acquisition, picture, "t1 map", 1, 1800.0 - 1400.0 * brightness)
    dataset.SeriesNumber, dataset.SeriesDescription = 904, "SIMULATED T1 map MOLLI"
    dataset.ImageType = ["DERIVED", "PRIMARY", "T1 MAP", "ND"]
    yield dataset


def _image(
    subject: Subject,
    acquisition: Acquisition,
    picture: Picture,
    series: str,
    instance: int,
    pixels: FloatArray,
) -> Dataset:
    dataset = start_image(subject, acquisition, picture, series, instance)
    dataset.Manufacturer, dataset.ManufacturerModelName = "SIEMENS", "Simulated"
    dataset.SoftwareVersions = "syngo MR E11"
    dataset.ImageType = ["ORIGINAL", "PRIMARY", "M", "ND"]
    dataset.ProtocolName = series
    dataset.AcquisitionNumber = 1
    dataset.AcquisitionTime = clock(picture.time_s)
    dataset.RepetitionTime = f"{picture.readout.repetition_time_s * 1e3:.3f}"
    factor = min(1.0, _LARGEST_STORED / max(float(pixels.max()), 1e-9))
    put_pixels(dataset, pixels * factor)
    put_window(dataset, float(pixels.max()) * factor)
    return dataset


def _shrunk(pixels: FloatArray, size: float) -> FloatArray:
    """Shrink the picture around its middle, zeros outside."""
    small = zoom(pixels, size, order=1)
    out = np.zeros_like(pixels)
    top, left = ((whole - part) // 2 for whole, part in zip(out.shape, small.shape, strict=True))
    out[top : top + small.shape[0], left : left + small.shape[1]] = small
    return out


def _triple(vector: FloatArray) -> tuple[float, float, float]:
    return float(vector[0]), float(vector[1]), float(vector[2])
