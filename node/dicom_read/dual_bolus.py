"""Pairs of first passes where a dilute bolus came before the full one."""

from collections.abc import Sequence
from dataclasses import dataclass

from node.config import Analysis
from node.dicom_read.contrast import injected_ml
from node.dicom_read.geometry import same_place
from node.dicom_read.passes import Pass
from node.dicom_read.tracks import Track
from node.dicom_read.words import find_word, plain

_PREBOLUS = r"pre ?bolus|mini ?bolus|test ?bolus|dilut\w*|low ?dose"
_LONGEST_BETWEEN_S = 10 * 60.0
_LOWEST_RATIO = 4.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Prebolus:
    """The dilute bolus that belongs to a first pass."""

    track: Track
    """The slice nearest to the base; times since its first frame."""
    dose_ratio: float
    reason: str


def pair_boluses(
    passes: Sequence[Pass], config: Analysis
) -> tuple[list[Pass], list[Prebolus | None]]:
    """Take the first passes of dilute boluses out and give each to the full bolus after it."""
    dilute = [_is_dilute(index, passes) for index in range(len(passes))]
    kept: list[Pass] = []
    preboluses: list[Prebolus | None] = []
    waiting: Pass | None = None
    for found, is_dilute in zip(passes, dilute, strict=True):
        if is_dilute:
            waiting = found
            continue
        prebolus = None
        if waiting is not None and _close(waiting, found):
            prebolus = _prebolus(waiting, found, config)
            waiting = None
        kept.append(found)
        preboluses.append(prebolus)
    return kept, preboluses


def _is_dilute(index: int, passes: Sequence[Pass]) -> bool:
    """Whether a first pass is a dilute bolus: by word or by dose, and a full one follows."""
    if index + 1 == len(passes) or not _close(passes[index], passes[index + 1]):
        return False
    if _says_prebolus(passes[index]):
        return not _says_prebolus(passes[index + 1])
    ratio = _ratio(passes[index], passes[index + 1])
    return ratio is not None and ratio >= _LOWEST_RATIO


def _says_prebolus(found: Pass) -> str | None:
    return next(
        (
            word
            for header in found.headers
            if (word := find_word(_PREBOLUS, plain(header.text("SeriesDescription"))))
        ),
        None,
    )


def _close(dilute: Pass, full: Pass) -> bool:
    """Whether two first passes lie close enough in time, in one place."""
    if dilute.start_s is None or full.start_s is None:
        return False
    shared = any(same_place(a.first, b.first) for a in dilute.slices for b in full.slices)
    return shared and full.start_s - dilute.start_s <= _LONGEST_BETWEEN_S


def _ratio(dilute: Pass, full: Pass) -> float | None:
    """Return the full over the dilute amount of agent, where the headers tell both."""
    small, large = injected_ml(dilute.first.header), injected_ml(full.first.header)
    return large / small if small and large else None


def _prebolus(dilute: Pass, full: Pass, config: Analysis) -> Prebolus:
    ratio = _ratio(dilute, full)
    from_header = ratio is not None and ratio >= _LOWEST_RATIO
    word = _says_prebolus(dilute)
    ground = f"SeriesDescription says '{word}'" if word else "the header gives a smaller dose"
    where = "header" if from_header else "configuration"
    value = ratio if ratio is not None and from_header else config.dual_bolus_ratio
    return Prebolus(
        track=dilute.slices[0],
        dose_ratio=value,
        reason=f"{ground}; dose ratio {value:g} from the {where}",
    )
