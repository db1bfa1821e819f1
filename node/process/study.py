"""Read, analyse, write: the work on one study.

`perfusion-node process` and the node's own worker both come through here.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

import pydicom
from pydicom import Dataset
from pydicom.errors import InvalidDicomError

from node import __version__
from node.config import Analysis, Config
from node.dicom_read import NoPerfusionError, ReadStudy, SetAside, read_study
from node.dicom_write import (
    encode_not_analysed,
    encode_results,
    make_replacing,
    read_earlier,
    write_results,
)
from node.dicom_write.earlier import EarlierResults, Replacing
from node.dicom_write.kinds import kind_of
from node.dicom_write.narrative import no_number_reasons
from node.errors import UsageError
from node.weights import anatomy_network, checksum
from pipeline.analyse import Settings, analyse
from pipeline.result import PerfusionResult

Progress = Callable[[str], None]


class Status(StrEnum):
    """How the processing of a study ended."""

    ANALYSED = "analysed"
    WITHHELD = "withheld"
    NOTHING = "nothing"


EXIT_CODES: Final = {Status.ANALYSED: 0, Status.NOTHING: 3, Status.WITHHELD: 4}


@dataclass(frozen=True, kw_only=True)
class ResultObject:
    """One result, written."""

    file: Path
    kind: str
    """As in the setting ``results.objects``."""
    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcome:
    """What became of a study."""

    status: Status
    reasons: tuple[str, ...]
    """Why numbers are missing, where they are."""
    objects: tuple[ResultObject, ...]
    """In the order in which they are to be sent."""
    set_aside: tuple[SetAside, ...]
    read: ReadStudy | None = None
    result: PerfusionResult | None = None


def process_study(
    directory: Path,
    out: Path,
    config: Config,
    progress: Progress,
    *,
    replaces: Sequence[Path] = (),
) -> Outcome:
    """Analyse the DICOM files under `directory` and write the result objects to `out`.

    Parameters
    ----------
    replaces
        Folders of results that were made before of the same study, the oldest first, each named
        after its revision.

    Raises
    ------
    UsageError
        `directory` is no folder.
    NodeError
        Encoding or writing failed. A study with nothing in it to analyse is an outcome, no error.
    """
    if not directory.is_dir():
        raise UsageError(f"the study directory {directory} does not exist")
    earlier = [read_earlier(folder) for folder in replaces]
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    progress(f"reading {len(files)} files")
    try:
        read = read_study(files, config.analysis)
    except NoPerfusionError as error:
        return _say_nothing_found(error, files, out, config, earlier)
    network = anatomy_network(config.analysis.weights)
    result = analyse(read.study, network, _settings(config.analysis), progress)
    progress("writing results")

    def make(replacing: Replacing) -> list[Dataset]:
        return encode_results(
            result,
            read,
            config.results,
            version=__version__,
            settings=settings_text(config.analysis),
            replacing=replacing,
        )

    return Outcome(
        status=Status.WITHHELD if result.withheld else Status.ANALYSED,
        reasons=tuple(no_number_reasons(result)),
        objects=_write(make_replacing(make, earlier), out),
        set_aside=read.set_aside,
        read=read,
        result=result,
    )


def _settings(analysis: Analysis) -> Settings:
    return Settings(
        model=analysis.model,
        ischaemic_mbf_ml_min_g=analysis.ischaemic_mbf_ml_min_g,
        ischaemic_mpr=analysis.ischaemic_mpr,
    )


def settings_text(analysis: Analysis) -> str:
    """Give what the numbers depend on, as readable text: part of every result's identity.

    Weights of a site are told by their checksum: wherever they lie, other weights are other
    results.
    """
    settings = analysis.model_dump(mode="json", exclude={"timeout_s"})
    if analysis.weights is not None:
        settings["weights"] = f"sha256 {checksum(analysis.weights)}"
    return json.dumps(settings, separators=(",", ":"))


def _say_nothing_found(
    error: NoPerfusionError,
    files: Sequence[Path],
    out: Path,
    config: Config,
    earlier: Sequence[EarlierResults],
) -> Outcome:
    """Write the objects that say why, into the study of the first MR image, where there is one."""
    reasons = tuple(f"{item.what}: {item.reason}" for item in error.set_aside) or (str(error),)
    headers = [header for header in map(_header, files) if header is not None]

    def make(replacing: Replacing) -> list[Dataset]:
        return encode_not_analysed(
            headers[0],
            reasons,
            instances=[str(header.SOPInstanceUID) for header in headers],
            version=__version__,
            settings=settings_text(config.analysis),
            series_number_base=config.results.series_number_base,
            replacing=replacing,
            rejection_note=config.results.superseding == "rejection-note",
        )

    objects = make_replacing(make, earlier) if headers else []
    return Outcome(
        status=Status.NOTHING,
        reasons=reasons,
        objects=_write(objects, out),
        set_aside=error.set_aside,
    )


def _write(objects: Sequence[Dataset], out: Path) -> tuple[ResultObject, ...]:
    return tuple(
        ResultObject(
            file=file,
            kind=kind_of(dataset),
            sop_class_uid=str(dataset.SOPClassUID),
            sop_instance_uid=str(dataset.SOPInstanceUID),
        )
        for dataset, file in zip(objects, write_results(objects, out), strict=True)
    )


def _header(path: Path) -> Dataset | None:
    """Header of an MR instance, or None for anything else."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True)
    except (InvalidDicomError, OSError, EOFError, ValueError):
        return None
    identified = "SOPInstanceUID" in header and "StudyInstanceUID" in header
    return header if header.get("Modality") == "MR" and identified else None
