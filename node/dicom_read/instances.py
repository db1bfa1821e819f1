"""Files to MR instances; everything else is set aside with a reason."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    UID,
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    MediaStorageDirectoryStorage,
    MRImageStorage,
)

from node.dicom_read.header import Header, raw_element
from node.dicom_read.parsing import parse
from node.dicom_read.sources import (
    NoPerfusionError,
    NotShortAxisError,
    PixelDataError,
    SetAside,
    TooFewFramesError,
    UnknownPhysicsError,
)

MULTI_FRAME_CLASSES = frozenset({EnhancedMRImageStorage, LegacyConvertedEnhancedMRImageStorage})
_IMAGE_CLASSES = MULTI_FRAME_CLASSES | {MRImageStorage}
_PIXEL_DATA = 0x7FE00010
_MOST_PIXELS_A_SIDE = 2048
_UNDEFINED_LENGTH = 0xFFFFFFFF


@dataclass(frozen=True, kw_only=True, eq=False, slots=True)
class Instance:
    """One MR instance."""

    path: Path
    dataset: Dataset
    header: Header


_SUMMARIES: Mapping[type[NoPerfusionError], str] = {
    PixelDataError: "The pixel data of the perfusion images cannot be read.",
    UnknownPhysicsError: "There are perfusion images, but no constants to quantify them with.",
    NotShortAxisError: "There are dynamic images, but none of them is short axis.",
    TooFewFramesError: "There are perfusion images, but too few for a first pass.",
}
"""What stood between perfusion images and their analysis, most telling first."""


class Aside:
    """Collects what is set aside: one entry for all files of a series with the same reason."""

    def __init__(self) -> None:
        self._files: dict[tuple[str, str], list[Path]] = defaultdict(list)
        self._errors: set[type[NoPerfusionError]] = set()

    def add(
        self,
        what: str,
        reason: str,
        files: Iterable[Path],
        error: type[NoPerfusionError] | None = None,
    ) -> None:
        """Set `files` aside; `error`: they are perfusion images, but cannot be used."""
        paths = list(files)
        if not paths:
            return
        self._files[what, reason].extend(paths)
        if error is not None:
            self._errors.add(error)

    def entries(self) -> tuple[SetAside, ...]:
        """Return everything that was set aside, in a stable order."""
        return tuple(
            SetAside(what=what, reason=reason, files=tuple(sorted(set(files))))
            for (what, reason), files in sorted(self._files.items())
        )

    def nothing_left(self) -> NoPerfusionError:
        """Say in one sentence why nothing can be analysed, and list everything."""
        for error, summary in _SUMMARIES.items():
            if error in self._errors:
                return error(summary, self.entries())
        return NoPerfusionError("No first-pass perfusion series was found.", self.entries())


def open_instances(files: Iterable[Path], aside: Aside) -> Iterator[Instance]:
    """Yield the MR images among the files, each SOP Instance UID once."""
    seen: set[str] = set()
    for path in sorted(set(files)):
        instance = _open(path, aside)
        if instance is None:
            continue
        uid = instance.header.text("SOPInstanceUID")
        if uid in seen:
            reason = "the same image is there twice; one is used"
            aside.add(series_name(instance.header), reason, [path])
        else:
            seen.add(uid)
            yield instance


def series_name(header: Header) -> str:
    """Name a series without its description, which may hold anything."""
    number = header.number("SeriesNumber")
    return "series without a number" if number is None else f"series {number:.0f}"


def _open(path: Path, aside: Aside) -> Instance | None:
    """Open one file, or set it aside."""
    try:
        dataset = parse(path)
    except InvalidDicomError:
        aside.add(f"file {path.name}", "it is not a DICOM file", [path])
        return None
    except OSError as error:
        why = error.strerror.lower() if error.strerror else "it ends too early"
        aside.add(f"file {path.name}", f"it cannot be read: {why}", [path])
        return None
    except MemoryError:
        raise  # the machine is too small, the file is not broken
    except Exception:  # noqa: BLE001  broken files make pydicom raise anything at all
        aside.add(f"file {path.name}", "it is a DICOM file that is damaged or cut off", [path])
        return None
    header = Header(dataset)
    refusal = _refusal(dataset, header, path)
    if refusal is not None:
        has_series = header.value("SeriesInstanceUID") is not None
        what = series_name(header) if has_series else f"file {path.name}"
        aside.add(what, refusal, [path])
        return None
    return Instance(path=path, dataset=dataset, header=header)


def _refusal(dataset: Dataset, header: Header, path: Path) -> str | None:
    """Say why an instance cannot be a perfusion image by what it is; None where it can."""
    sop_class = header.text("SOPClassUID")
    if Header(dataset.file_meta).value("MediaStorageSOPClassUID") == MediaStorageDirectoryStorage:
        return "it is a DICOMDIR, which names files and holds no image"
    if not sop_class or header.value("SOPInstanceUID") is None:
        return "it is a DICOM file that is damaged or cut off"
    if sop_class not in _IMAGE_CLASSES:
        return f"it is no MR image but {_kind(sop_class, header.text('Modality'))}"
    if header.value("SeriesInstanceUID") is None or header.value("StudyInstanceUID") is None:
        return "it does not say which series and study it belongs to"
    return _pixel_refusal(dataset, header, path)


def _kind(sop_class: str, modality: str) -> str:
    """Name the kind of an object by the standard's words."""
    uid = UID(sop_class)
    if uid.is_valid and uid.type == "SOP Class":
        return f"an object of the kind '{uid.name}'"
    return f"of modality {modality}" if re.fullmatch("[A-Z]{2,16}", modality) else "unknown"


def _pixel_refusal(dataset: Dataset, header: Header, path: Path) -> str | None:
    """Say why the pixel data cannot be used, as far as the header tells; None where they can."""
    if _PIXEL_DATA not in dataset:
        return "it holds no pixel data, or is cut off before them"
    if _missing_bytes(dataset, path) > 0:
        return "its pixel data are cut off"
    if max(header.number("Rows") or 0, header.number("Columns") or 0) > _MOST_PIXELS_A_SIDE:
        return "it is far larger than any perfusion image"
    if header.number("SamplesPerPixel") not in (None, 1.0):
        return "it is a colour image"
    if header.text("PhotometricInterpretation") not in ("MONOCHROME2", ""):
        return "its grey scale is inverted or of an unknown kind"
    return None


def _missing_bytes(dataset: Dataset, path: Path) -> int:
    """Return how many bytes of the pixel data the file lacks, as far as their length is told."""
    element = raw_element(dataset, _PIXEL_DATA)
    if not isinstance(element, RawDataElement) or element.length == _UNDEFINED_LENGTH:
        return 0
    if element.value is not None:
        return element.length - len(element.value)
    return element.value_tell + element.length - path.stat().st_size
