"""What a segment of a Segmentation is to us, by its codes, else by its label."""

from enum import StrEnum
from typing import Final

from node.dicom_read.header import Header
from node.dicom_read.words import find_word, plain


class Role(StrEnum):
    """What people outline."""

    MYOCARDIUM = "LV myocardium"
    LV_POOL = "LV blood pool"
    RV_POOL = "RV blood pool"
    ANTERIOR = "anterior RV insertion"
    INFERIOR = "inferior RV insertion"


NEEDED: Final = (Role.MYOCARDIUM, Role.LV_POOL, Role.RV_POOL)

_MYOCARDIUM: Final = frozenset({"49848007", "T-32620", "74281007"})
_BLOOD: Final = frozenset({"87612001", "T-C2000"})
_VENTRICLES: Final = {
    "87878005": Role.LV_POOL,
    "T-32600": Role.LV_POOL,
    "53085002": Role.RV_POOL,
    "T-32500": Role.RV_POOL,
}
_POINTS: Final = {"RVIPA": Role.ANTERIOR, "RVIPI": Role.INFERIOR}


def role_of(segment: Header) -> Role | None:
    """Return the role of an item of the Segment Sequence (PS3.3 C.8.20.4); None: another thing.

    Codes are those that the node itself writes (docs/results.md) and their SNOMED-RT forms. The
    type may also be the ventricle itself, as some programs call its cavity; labels are understood
    in English.
    """
    types = _codes(segment, "SegmentedPropertyTypeCodeSequence")
    regions = _codes(segment, "AnatomicRegionSequence")
    if types & _MYOCARDIUM:
        return Role.MYOCARDIUM
    for code in sorted(types & _POINTS.keys()):
        return _POINTS[code]
    if types & _BLOOD:
        for code in sorted(regions & _VENTRICLES.keys()):
            return _VENTRICLES[code]
    labelled = _by_label(plain(segment.text("SegmentLabel")))
    if labelled is not None:
        return labelled
    return next((_VENTRICLES[code] for code in sorted(types & _VENTRICLES.keys())), None)


def _by_label(label: str) -> Role | None:
    if find_word(r"insertions?|hinge|rvi?ps?", label):
        if find_word("anterior|ant|superior", label):
            return Role.ANTERIOR
        return Role.INFERIOR if find_word("inferior|inf|posterior", label) else None
    right = find_word(r"rv|rvbp|rvc|right ventric\w*", label) is not None
    if find_word(r"myo|myocardi\w*|lvm|lvmyo|wall", label):
        return None if right else Role.MYOCARDIUM
    if right:
        return Role.RV_POOL
    return Role.LV_POOL if find_word(r"lv|lvbp|lvc|left ventric\w*", label) else None


def _codes(segment: Header, keyword: str) -> frozenset[str]:
    return frozenset(item.text("CodeValue") for item in segment.items(keyword))
