"""Headers of the frames of multi-frame instances (PS3.3 C.7.6.16).

An attribute is looked up in the frame's functional groups, in the shared ones, in the instance,
and last in the copy of the classic image that Philips nests in each frame: that copy contradicts
the frame's own place in the patient by half a field of view.
"""

from pydicom import Dataset, Sequence
from pydicom.tag import BaseTag

from node.dicom_read.header import Header


def frame_headers(dataset: Dataset) -> list[Header] | None:
    """Return one header per frame; None where the number of frames contradicts itself."""
    instance = Header(dataset)
    per_frame = _sequence(dataset, "PerFrameFunctionalGroupsSequence")
    if instance.number("NumberOfFrames") != len(per_frame) or not per_frame:
        return None
    shared = [_flat(item) for item in _sequence(dataset, "SharedFunctionalGroupsSequence")[:1]]
    shared_groups = [groups for groups, _ in shared]
    shared_private = [nested for _, private in shared for nested in private]
    headers = []
    for item in per_frame:
        groups, private = _flat(item)
        headers.append(Header(groups, *shared_groups, dataset, *private, *shared_private))
    return headers


def _flat(item: Dataset) -> tuple[Dataset, list[Dataset]]:
    """Merge the functional groups of an item; return them and the nested private data sets."""
    groups, private = Dataset(), []
    for tag, element in list(item.items()):
        nested = _first_item(item, tag, element.VR)
        if nested is None:
            groups.update({tag: element})
        elif tag.is_private:
            private.append(nested)
        else:
            groups.update(dict(nested.items()))
    return groups, private


def _first_item(item: Dataset, tag: BaseTag, vr: str | None) -> Dataset | None:
    """Return the first item of a sequence, None where the element is none or is empty."""
    if vr not in ("SQ", "UN", None):
        return None
    try:
        value = item[tag].value
    except Exception:  # noqa: BLE001  a hostile sequence makes pydicom raise anything at all
        return None
    return value[0] if isinstance(value, Sequence) and len(value) > 0 else None


def _sequence(dataset: Dataset, keyword: str) -> list[Dataset]:
    """Return the items of a sequence, none where it cannot be read."""
    value = Header(dataset).value(keyword)
    return list(value) if isinstance(value, Sequence) else []
