"""Writes simulated studies as DICOM files in the dialects of the vendors, with their truth."""

from collections.abc import Callable, Iterator

from pydicom.dataset import Dataset

from node.dicom_phantom.common import Subject
from node.dicom_phantom.distractors import distractors
from node.dicom_phantom.enhanced import enhanced, enhanced_philips
from node.dicom_phantom.ge import ge
from node.dicom_phantom.philips import philips
from node.dicom_phantom.pictures import Acquisition, acquisitions
from node.dicom_phantom.siemens import siemens, siemens_single_series
from node.dicom_phantom.truth import write_truth
from pipeline.phantom import PhantomStudy

DIALECTS: dict[str, Callable[[Subject, list[Acquisition]], Iterator[Dataset]]] = {
    "siemens": siemens,
    "siemens-single-series": siemens_single_series,
    "philips": philips,
    "ge": ge,
    "enhanced": enhanced,
    "enhanced-philips": enhanced_philips,
}


def study_datasets(
    phantom: PhantomStudy, dialect: str, *, named: bool = True, others: bool = False
) -> Iterator[Dataset]:
    """Yield the DICOM objects of a study in one dialect (a key of `DIALECTS`).

    `named`: whether the descriptions tell rest from stress; `others`: whether a localizer, a cine,
    late enhancement and a T1 map come with it.
    """
    subject = Subject(
        seed=phantom.truth.seed,
        weight_kg=phantom.truth.weight_kg,
        variant=dialect if named else f"{dialect} unnamed",
    )
    made = acquisitions(phantom, named=named)
    yield from DIALECTS[dialect](subject, made)
    if others:
        yield from distractors(subject, phantom, made)


__all__ = ["DIALECTS", "study_datasets", "write_truth"]
