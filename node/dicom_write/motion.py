"""The motion-compensated series as derived MR: what was measured, for a person to look at."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import MRImageStorage

from node.dicom_write.derived_mr import (
    Look,
    Plane,
    derived_image,
    set_pixels,
    source_reference,
    stored,
    stored_scale,
)
from node.dicom_write.provenance import Provenance, new_object
from node.dicom_write.reference import window_of
from node.dicom_write.stacks import AnalysedPass, Stack
from pipeline.result import SliceResult

KIND = 7


@dataclass(frozen=True, eq=False)
class _Series:
    """What all images of a motion-compensated series have in common."""

    provenance: Provenance
    identity: tuple[object, ...]
    number: int
    description: str
    scale: float
    window: tuple[float, float]


def encode_motion(
    analysed: AnalysedPass, stack_number: int, provenance: Provenance
) -> Iterator[Dataset]:
    """Make one image a slice and frame, slice by slice, all with the same scale and window."""
    stack = analysed.stacks[stack_number]
    scale = stored_scale([one.aligned.frames for one in stack.slices])
    part = analysed.part(stack_number)
    series = _Series(
        provenance=provenance,
        identity=(analysed.label, "motion", stack_number),
        number=provenance.series_number(analysed.number, KIND),
        description=f"Motion-compensated {analysed.label}{part} RESEARCH",
        scale=scale,
        window=window_of([one.aligned.frames.max(axis=0) * scale for one in stack.slices]),
    )
    first_number = 1
    for index, one in enumerate(stack.slices):
        template = _template(series, one, stack.planes[index])
        yield from _frames(series, template, first_number, stack, index)
        first_number += len(one.aligned.frames)


def _template(series: _Series, one: SliceResult, plane: Plane) -> Dataset:
    """Make an image without pixels, of which each frame is a copy."""
    begun = new_object(
        series.provenance,
        MRImageStorage,
        modality="MR",
        series=series.identity,
        series_number=series.number,
        series_description=series.description,
    )
    look = Look(
        kind="MOCO",
        derivation=f"Aligned to frame {one.aligned.reference_frame + 1}: {one.aligned.method}; "
        f"stored value = signal x {series.scale:g}",
        window=series.window,
    )
    return derived_image(begun, plane, np.zeros(one.sectors.shape, dtype="<u2"), look)


def _frames(
    series: _Series, template: Dataset, first_number: int, stack: Stack, index: int
) -> Iterator[Dataset]:
    """Make the frames of one slice.

    They share the template's elements; what differs is put in as new elements, never changed in
    place.
    """
    aligned = stack.slices[index].aligned
    sources, times_s = stack.sources[index].frames, stack.times_s[index]
    for time, frame in enumerate(aligned.frames):
        number = first_number + time
        uid = series.provenance.uids.uid(*series.identity, number)
        moment = series.provenance.start + dt.timedelta(seconds=times_s[time])
        dataset = Dataset()
        dataset.update(template)
        dataset.add_new("SOPInstanceUID", "UI", uid)
        dataset.add_new("InstanceNumber", "IS", number)
        dataset.add_new("TemporalPositionIdentifier", "IS", time + 1)
        dataset.add_new("NumberOfTemporalPositions", "IS", len(times_s))
        dataset.add_new("AcquisitionDate", "DA", moment.strftime("%Y%m%d"))
        dataset.add_new("AcquisitionTime", "TM", moment.strftime("%H%M%S.%f"))
        used = bool(aligned.frame_weight[time] > 0)
        dataset.add_new("ImageComments", "LT", _comment(times_s[time], used=used))
        dataset.add_new("SourceImageSequence", "SQ", [source_reference(sources[time])])
        set_pixels(dataset, stored(frame, series.scale))
        dataset.file_meta = FileMetaDataset()
        dataset.file_meta.update(template.file_meta)
        dataset.file_meta.add_new("MediaStorageSOPInstanceUID", "UI", uid)
        yield dataset


def _comment(time_s: float, *, used: bool) -> str:
    unused = "" if used else "; not used in the fit"
    return f"RESEARCH USE ONLY. {time_s:.3f} s after the first frame{unused}."
