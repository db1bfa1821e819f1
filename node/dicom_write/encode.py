"""From a result to the objects that are sent: which, in which order.

A first pass whose numbers the quality gate withholds keeps its reference series, segmentations and
motion-compensated series, so that a person can see why; it gets no number anywhere.
"""

from collections.abc import Iterator

from pydicom.dataset import Dataset

from node.config import Results
from node.dicom_write.mbf_image import encode_mbf_image
from node.dicom_write.parametric_map import MBF, MBF_SD, encode_parametric_map
from node.dicom_write.provenance import Provenance
from node.dicom_write.reference import encode_reference
from node.dicom_write.segmentation import encode_aha, encode_tissues
from node.dicom_write.sources import FrameSource, ReadStudy, SliceSource
from node.dicom_write.stacks import AnalysedPass, analysed_passes
from node.dicom_write.uids import Uids
from pipeline.result import PerfusionResult


def encode_results(
    result: PerfusionResult, read: ReadStudy, config: Results, *, version: str, settings: str
) -> list[Dataset]:
    """Encode everything that `config` asks for.

    Parameters
    ----------
    version
        Of the algorithm.
    settings
        Of the analysis, as readable text. The identifiers depend on both.

    Raises
    ------
    EncodingError
        The result does not belong to the study.
    """
    provenance = provenance_of(read, config, version=version, settings=settings)
    objects: list[Dataset] = []
    for analysed in analysed_passes(result.first_passes, read, provenance):
        objects.extend(_objects_of_pass(analysed, config, provenance))
    return objects


def provenance_of(read: ReadStudy, config: Results, *, version: str, settings: str) -> Provenance:
    """Say where the results come from and what made them."""
    slices = list(_slices(read))
    return Provenance(
        headers=tuple(one.header() for one in slices),
        uids=Uids.of(
            (frame.sop_instance_uid for one in slices for frame in _frames(one)),
            version,
            f"{settings}\n{config.model_dump_json()}",
        ),
        version=version,
        settings=settings,
        series_number_base=config.series_number_base,
    )


def _slices(read: ReadStudy) -> Iterator[SliceSource]:
    for source in read.sources:
        yield from source.slices
        if source.input_series is not None:
            yield source.input_series


def _frames(source: SliceSource) -> Iterator[FrameSource]:
    yield from source.frames
    yield from source.proton_density


def _objects_of_pass(
    analysed: AnalysedPass, config: Results, provenance: Provenance
) -> Iterator[Dataset]:
    """Encode one first pass; overlays need the reference series even where it is not sent."""
    wanted = set(config.objects)
    withheld = analysed.result.withheld
    for number in range(len(analysed.stacks)):
        reference = encode_reference(analysed, number, provenance)
        if "reference" in wanted:
            yield from reference
        if "segmentation" in wanted:
            yield encode_tissues(analysed, number, reference, provenance)
            yield encode_aha(analysed, number, reference, provenance)
        if "parametric-map" in wanted and not withheld:
            yield encode_parametric_map(analysed, number, reference, MBF, provenance)
            yield encode_parametric_map(analysed, number, reference, MBF_SD, provenance)
        if "mbf-mr" in wanted and not withheld:
            yield from encode_mbf_image(analysed, number, provenance)
