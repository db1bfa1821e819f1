"""Other series of the same examination: localizer, cine, T1 map, late enhancement.

They show the same patient in the same places. None is a first pass; the T1 map is native and holds
the patient's own T1 in milliseconds, so that a reader of T1 maps can use it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from pydicom.dataset import Dataset

from node.dicom_phantom.common import COMMENT, Subject, clock, put_pixels, put_window, start_image
from node.dicom_phantom.pictures import Acquisition, Picture
from pipeline.phantom import PhantomStudy
from pipeline.phantom.localizer import localizer
from pipeline.phantom.others import (
    CINE_PHASES,
    CINE_READOUT,
    LATE_READOUT,
    OtherPictures,
    other_pictures,
)
from pipeline.study import FloatArray, Readout, SliceGeometry

_LARGEST_STORED = 4095.0
_BREATH_HOLD_S = 14.0
_LATE_AFTER_S = 600.0
_PHILIPS_SLOPE = 0.5
_MANUFACTURERS = {"philips": "Philips Medical Systems", "ge": "GE MEDICAL SYSTEMS"}


@dataclass(frozen=True, kw_only=True)
class _Series:
    """What all images of one series share."""

    key: str
    number: int
    words: str
    start_s: float
    readout: Readout
    image_type: tuple[str, ...] = ("ORIGINAL", "PRIMARY", "M", "ND")
    native: bool = True
    """Whether it is taken before contrast agent."""


_LOCALIZER = _Series(
    key="localizer",
    number=901,
    words="localizer",
    start_s=60.0,
    readout=CINE_READOUT,
    image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"),
)
_CINE = _Series(key="cine", number=902, words="cine SAX", start_s=200.0, readout=CINE_READOUT)
_T1_MAP = _Series(
    key="t1 map",
    number=903,
    words="T1 map SAX",
    start_s=300.0,
    readout=CINE_READOUT,
    image_type=("DERIVED", "PRIMARY", "T1 MAP", "ND"),
)
_LATE = _Series(
    key="late", number=904, words="LGE SAX", start_s=0.0, readout=LATE_READOUT, native=False
)


def distractors(
    subject: Subject, phantom: PhantomStudy, made: list[Acquisition]
) -> Iterator[Dataset]:
    """Yield localizer, cine and T1 map, all before contrast agent, and late enhancement."""
    truth = phantom.truth
    geometries = [one.geometry for one in phantom.study.first_passes[0].slices]
    others = other_pictures(truth.seed, truth.settings)
    pairs = list(zip(geometries, others, strict=True))
    for instance, plane in enumerate(localizer(truth.seed, truth.settings), start=1):
        yield _image(subject, made[0], _LOCALIZER, instance, plane.geometry, plane.pixels)
    yield from _cine(subject, made[0], pairs)
    for number, (geometry, other) in enumerate(pairs):
        yield _t1_map(subject, made[0], number, geometry, other)
    late = replace(_LATE, start_s=made[-1].start_s + _LATE_AFTER_S)
    for number, (geometry, other) in enumerate(pairs):
        dataset = _image(subject, made[-1], late, number + 1, geometry, other.late, hold=number)
        dataset.InversionTime = f"{other.inversion_time_s * 1e3:.0f}"
        yield dataset


def _cine(
    subject: Subject, acquisition: Acquisition, pairs: list[tuple[SliceGeometry, OtherPictures]]
) -> Iterator[Dataset]:
    """Phases of one beat, slice by slice."""
    beat_ms = 60e3 / acquisition.heart_rate_bpm
    for number, (geometry, other) in enumerate(pairs):
        for phase, pixels in enumerate(other.cine):
            instance = number * CINE_PHASES + phase + 1
            dataset = _image(subject, acquisition, _CINE, instance, geometry, pixels, hold=number)
            dataset.TriggerTime = f"{beat_ms * phase / CINE_PHASES:.1f}"
            dataset.CardiacNumberOfImages = CINE_PHASES
            yield dataset


def _t1_map(
    subject: Subject,
    acquisition: Acquisition,
    number: int,
    geometry: SliceGeometry,
    other: OtherPictures,
) -> Dataset:
    """Write T1 in milliseconds: stored as such by Siemens and GE, rescaled to them by Philips."""
    t1_ms = other.t1_s * 1e3
    dataset = _image(subject, acquisition, _T1_MAP, number + 1, geometry, t1_ms, hold=number)
    if dataset.Manufacturer == _MANUFACTURERS["philips"]:
        put_pixels(dataset, t1_ms / _PHILIPS_SLOPE, bits=16)
        dataset.RescaleSlope, dataset.RescaleIntercept = f"{_PHILIPS_SLOPE:g}", "0"
        dataset.RescaleType = "ms"
    else:
        put_pixels(dataset, t1_ms)
    dataset.WindowCenter, dataset.WindowWidth = "1300", "1300"
    dataset.ImageComments = f"{COMMENT}; T1 in milliseconds"
    return dataset


def _image(
    subject: Subject,
    acquisition: Acquisition,
    series: _Series,
    instance: int,
    geometry: SliceGeometry,
    pixels: FloatArray,
    *,
    hold: int = 0,
) -> Dataset:
    """One classic image; `hold` is the number of its breath-hold within the series."""
    time_s = series.start_s + hold * _BREATH_HOLD_S
    picture = Picture(
        pixels=pixels,
        time_s=time_s,
        position=0,
        frame=0,
        delay_in_beat_s=0.6 * 60.0 / acquisition.heart_rate_bpm,
        geometry=geometry,
        readout=series.readout,
        proton_density=False,
    )
    said = replace(acquisition, description=f"SIMULATED {series.words}", start_s=series.start_s)
    dataset = start_image(subject, said, picture, series.key, instance)
    dialect = subject.variant.split()[0]
    dataset.Manufacturer = _MANUFACTURERS.get(dialect, "SIEMENS")
    dataset.ManufacturerModelName = "Simulated"
    dataset.SoftwareVersions = "1"
    dataset.SeriesNumber = series.number
    dataset.ImageType = list(series.image_type)
    dataset.AcquisitionNumber = 1
    dataset.AcquisitionTime = clock(time_s)
    dataset.RepetitionTime = f"{series.readout.repetition_time_s * 1e3:.3f}"
    if series.native:
        dataset.ScanningSequence = "GR"
        for keyword in ("InversionTime", "ContrastBolusVolume", "ContrastBolusTotalDose"):
            del dataset[keyword]
        dataset.ContrastBolusAgent = ""
    shown = float(np.percentile(pixels, 99.5))  # fat and fluid may be brighter than the window
    factor = 0.5 * _LARGEST_STORED / max(shown, 1e-9)
    put_pixels(dataset, pixels * factor)
    put_window(dataset, 2.0 * shown * factor)
    return dataset
