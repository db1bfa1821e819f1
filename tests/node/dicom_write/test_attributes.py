"""Every mandatory attribute is there: checked against the standard's tables, which highdicom ships.

dciodvfy does not notice everything (an absent Frame Anatomy macro, for one).
"""

import json
import pkgutil
from copy import deepcopy

import pytest
from pydicom.uid import (
    KeyObjectSelectionDocumentStorage,
    MRImageStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

from node.dicom_write import encode_results
from node.dicom_write.earlier import EarlierResults, Replacing

ALSO_CHECKED = ("frame-of-reference", "common-instance-reference", "floating-point-image-pixel")
"""Conditional modules whose condition our images meet."""

NOT_CHECKED = ("sr-document-content",)
"""Depends on each item's value type: the readers of the report check it."""

OPTIONAL_MACROS = {
    "CardiacSynchronizationSequence",
    "ContrastBolusUsageSequence",
    "PlanePositionSlideSequence",
    "ReferencedImageSequence",
    "RespiratorySynchronizationSequence",
    "StoredValueColorRangeSequence",
}
"""Functional groups that our objects need not have (PS3.3 A.51.5, A.75.5)."""

GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")


def table(name):
    return json.loads(pkgutil.get_data("highdicom", f"_standard/{name}.json"))


@pytest.fixture(scope="module")
def tables():
    return table("sop_class_iod_map"), table("iod_module_map"), table("module_attribute_map")


def missing(dataset, tables) -> list[str]:
    """Name the type 1 and 2 attributes that are absent, and the type 1 that are empty."""
    iods, modules, attributes = tables
    found = []
    for module in modules[iods[dataset.SOPClassUID]]:
        key = module["key"]
        if key in NOT_CHECKED or (module["usage"] != "M" and key not in ALSO_CHECKED):
            continue
        if key == "floating-point-image-pixel" and dataset.SOPClassUID != ParametricMapStorage:
            continue
        if key == "frame-of-reference" and dataset.SOPClassUID == SecondaryCaptureImageStorage:
            continue
        if key == "common-instance-reference" and dataset.SOPClassUID == MRImageStorage:
            continue
        for attribute in attributes[key]:
            if attribute["type"] in ("1", "2"):
                found += complaints(dataset, attribute)
    return sorted(set(found))


def complaints(dataset, attribute) -> list[str]:
    path, keyword = attribute["path"], attribute["keyword"]
    holders = [dataset]
    for step in path:
        holders = [item for holder in holders for item in holder.get(step) or []]
    if len(path) == 1 and path[0] in GROUPS:
        if keyword in OPTIONAL_MACROS:
            return []
        shared, per_frame = (dataset.get(group, []) for group in GROUPS)
        holders = [] if any(keyword in item for item in (*shared, *per_frame)) else [dataset]
    name = "/".join([*path, keyword])
    lacking = [f"{name} absent" for holder in holders if keyword not in holder]
    if attribute["type"] == "1":
        lacking += [
            f"{name} empty" for holder in holders if keyword in holder and holder[keyword].is_empty
        ]
    return lacking


def test_no_mandatory_attribute_is_missing(objects, tables):
    one_a_series = {one.SeriesInstanceUID: one for one in objects}.values()
    assert {one.SeriesDescription: missing(one, tables) for one in one_a_series} == {
        one.SeriesDescription: [] for one in one_a_series
    }


def test_no_mandatory_attribute_of_a_rejection_note_is_missing(case, tables):
    few = case.only("report", "mbf-mr")
    earlier = EarlierResults(name="revision 1", objects=tuple(few.encode()))
    made = encode_results(
        few.result,
        few.read,
        few.config,
        version="0.1.1",
        settings=few.settings,
        replacing=Replacing(latest=earlier),
    )
    [note] = [one for one in made if one.SOPClassUID == KeyObjectSelectionDocumentStorage]
    assert missing(note, tables) == []


@pytest.mark.parametrize(
    ("sop_class", "keyword"),
    [
        (MRImageStorage, "ScanningSequence"),
        (MRImageStorage, "PatientID"),
        (SegmentationStorage, "ContentLabel"),
        (ParametricMapStorage, "FrameOfReferenceUID"),
    ],
)
def test_the_check_sees_what_is_missing(objects, tables, sop_class, keyword):
    broken = deepcopy(next(one for one in objects if one.SOPClassUID == sop_class))
    delattr(broken, keyword)
    assert missing(broken, tables) == [f"{keyword} absent"]


def test_the_check_sees_a_missing_macro(objects, tables):
    broken = deepcopy(next(one for one in objects if one.SOPClassUID == ParametricMapStorage))
    del broken.SharedFunctionalGroupsSequence[0].FrameAnatomySequence
    assert missing(broken, tables) == [
        "PerFrameFunctionalGroupsSequence/FrameAnatomySequence absent",
        "SharedFunctionalGroupsSequence/FrameAnatomySequence absent",
    ]
