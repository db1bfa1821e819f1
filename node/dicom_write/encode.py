"""From a result to the objects that are sent: which, in which order.

A first pass whose numbers the quality gate withholds keeps its reference series, segmentations,
probability of the wall and motion-compensated series, so that a person can see why; it gets no flow
anywhere.
"""

from collections.abc import Iterator

from pydicom.dataset import Dataset

from node.config import Results
from node.dicom_write.booklet import encode_booklet
from node.dicom_write.earlier import Replacing
from node.dicom_write.mbf_image import encode_mbf_image
from node.dicom_write.motion import encode_motion
from node.dicom_write.narrative import Sections, no_number_reasons, sections
from node.dicom_write.not_analysed import (
    NEEDED,
    NEEDED_FOR_NUMBERS,
    WITHHELD_TITLE,
    encode_no_numbers,
)
from node.dicom_write.parametric_map import (
    MBF,
    MBF_SD,
    WALL,
    encode_parametric_map,
    has_map,
)
from node.dicom_write.picture import encode_pictures
from node.dicom_write.provenance import Provenance
from node.dicom_write.reference import encode_reference
from node.dicom_write.rejection import encode_rejection
from node.dicom_write.report import encode_report
from node.dicom_write.report_groups import PassObjects
from node.dicom_write.segmentation import encode_aha, encode_tissues
from node.dicom_write.sources import FrameSource, ReadStudy, SliceSource
from node.dicom_write.stacks import AnalysedPass, analysed_passes
from node.dicom_write.uids import Uids
from node.pictures import result_pages
from pipeline.result import PerfusionResult


def encode_results(
    result: PerfusionResult,
    read: ReadStudy,
    config: Results,
    *,
    version: str,
    settings: str,
    replacing: Replacing | None = None,
) -> list[Dataset]:
    """Encode everything that `config` asks for.

    Where no first pass has numbers, a page and a report that say why are always among it.

    Parameters
    ----------
    version
        Of the algorithm.
    settings
        Of the analysis, as readable text. The identifiers depend on both.
    replacing
        What was made before of the same study.

    Raises
    ------
    EncodingError
        The result does not belong to the study.
    """
    provenance = provenance_of(
        read, config, version=version, settings=settings, replacing=replacing
    )
    wanted = frozenset(config.objects)
    passes: list[PassObjects] = []
    objects: list[Dataset] = []
    if result.withheld:
        objects.extend(_no_numbers(result, provenance))
    for analysed in analysed_passes(result.first_passes, read, provenance):
        passes.append(PassObjects(analysed))
        objects.extend(_objects_of_pass(passes[-1], wanted, provenance))
    if result.first_passes:
        told = sections(result, read, settings, provenance.replacing.sentences)
        objects.extend(_pages(result, told, wanted, provenance))
        if "report" in wanted:
            objects.append(encode_report(result, passes, told, provenance))
    if "motion" in wanted:  # last: the largest and the least urgent
        for one in passes:
            for number in range(len(one.analysed.stacks)):
                objects.extend(encode_motion(one.analysed, number, provenance))
    if config.superseding == "rejection-note":
        objects.extend(encode_rejection(provenance, objects))
    return objects


def _no_numbers(result: PerfusionResult, provenance: Provenance) -> list[Dataset]:
    reasons = no_number_reasons(result)
    if result.first_passes:
        return encode_no_numbers(provenance, reasons, NEEDED_FOR_NUMBERS, WITHHELD_TITLE)
    return encode_no_numbers(provenance, reasons, NEEDED)


def _pages(
    result: PerfusionResult, told: Sections, wanted: frozenset[str], provenance: Provenance
) -> Iterator[Dataset]:
    """Draw the pages once, for both forms in which they may be sent."""
    if not wanted & {"pictures", "pdf"}:
        return
    pages = result_pages(result, told, provenance.version)
    what = f"pages {provenance.uids.key_of(told)}"
    if "pictures" in wanted:
        description = "Perfusion pictures RESEARCH"
        yield from encode_pictures(pages, provenance, what=what, series_description=description)
    if "pdf" in wanted:
        yield encode_booklet(pages, provenance, what=what)


def provenance_of(
    read: ReadStudy,
    config: Results,
    *,
    version: str,
    settings: str,
    replacing: Replacing | None = None,
) -> Provenance:
    """Say where the results come from, what made them and what they replace."""
    slices = list(_slices(read))
    replacing = replacing or Replacing()
    form = config.model_dump_json(exclude={"superseding"})  # which changes no object
    return Provenance(
        headers=tuple(one.header() for one in slices),
        uids=Uids.of(
            (frame.sop_instance_uid for one in slices for frame in _frames(one)),
            version,
            f"{settings}\n{form}{replacing.salt}",
        ),
        version=version,
        settings=settings,
        series_number_base=config.series_number_base,
        replacing=replacing,
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
    objects: PassObjects, wanted: frozenset[str], provenance: Provenance
) -> Iterator[Dataset]:
    """Encode the images of one first pass, and note what the report may refer to.

    Overlays need the reference series even where it is not sent.
    """
    analysed = objects.analysed
    for number in range(len(analysed.stacks)):
        reference = encode_reference(analysed, number, provenance)
        if "reference" in wanted:
            objects.reference.append(reference)
            yield from reference
        if "segmentation" in wanted:
            objects.segmentation.append(encode_aha(analysed, number, reference, provenance))
            yield encode_tissues(analysed, number, reference, provenance)
            yield objects.segmentation[-1]
        if "parametric-map" in wanted and has_map(analysed.stacks[number], WALL):
            yield encode_parametric_map(analysed, number, reference, WALL, provenance)
        if not analysed.result.withheld:
            yield from _maps(analysed, number, reference, wanted, provenance)


def _maps(
    analysed: AnalysedPass,
    number: int,
    reference: list[Dataset],
    wanted: frozenset[str],
    provenance: Provenance,
) -> Iterator[Dataset]:
    if "parametric-map" in wanted:
        yield encode_parametric_map(analysed, number, reference, MBF, provenance)
        yield encode_parametric_map(analysed, number, reference, MBF_SD, provenance)
    if "mbf-mr" in wanted:
        yield from encode_mbf_image(analysed, number, provenance)
