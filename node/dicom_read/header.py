"""Attributes of one frame, whatever the layout of its instance: missing or unreadable is None."""

import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pydicom.config
from pydicom import DataElement, Dataset
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import RawDataElement
from pydicom.multival import MultiValue


@contextmanager
def tolerant_reading() -> Iterator[None]:
    """Read headers as they come: what is wrong in them is judged by value, not by pydicom.

    pydicom's warnings quote values, which may be patient data, so they are silenced.
    """
    settings = pydicom.config.settings
    mode = settings.reading_validation_mode
    settings.reading_validation_mode = pydicom.config.IGNORE
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        settings.reading_validation_mode = mode


class Header:
    """Looks attributes up in layers: the frame's own first, the instance's last."""

    __slots__ = ("_layers",)

    def __init__(self, *layers: Dataset) -> None:
        self._layers = layers

    def value(self, keyword: str) -> object:
        """Return the first value that is there and not empty, else None."""
        tag = tag_for_keyword(keyword)
        for layer in self._layers:
            value = _value(layer, tag)
            if value is not None:
                return value
        return None

    def text(self, keyword: str) -> str:
        """Return the value as text; empty where it is absent, joined where it is multiple."""
        return " ".join(self.texts(keyword))

    def texts(self, keyword: str) -> tuple[str, ...]:
        """Return all values as text."""
        return tuple(str(value).strip() for value in _several(self.value(keyword)))

    def number(self, *keywords: str) -> float | None:
        """Return the first finite number that one of `keywords` holds."""
        for keyword in keywords:
            for value in _several(self.value(keyword)):
                number = _number(value)
                if number is not None:
                    return number
        return None

    def numbers(self, keyword: str, count: int) -> tuple[float, ...] | None:
        """Return exactly `count` finite numbers, else None."""
        numbers = tuple(_number(value) for value in _several(self.value(keyword)))
        finite = tuple(number for number in numbers if number is not None)
        return finite if len(numbers) == len(finite) == count else None

    def items(self, keyword: str) -> tuple["Header", ...]:
        """Return the items of a sequence."""
        value = self.value(keyword)
        return tuple(Header(item) for item in value) if isinstance(value, pydicom.Sequence) else ()

    def private(self, group: int, creator: str, element: int) -> object:
        """Return the value of a private attribute, found by its creator (PS3.5 7.8.1)."""
        first = (group << 16) + 0x10
        for layer in self._layers:
            present = layer.keys()
            for tag in range(first, first + 0xF0):
                if tag not in present or not _is_creator(_value(layer, tag), creator):
                    continue
                value = _value(layer, (tag & 0xFFFF0000) + ((tag & 0xFF) << 8) + element)
                if value is not None:
                    return value
        return None

    def private_number(self, group: int, creator: str, element: int) -> float | None:
        """Return a private attribute as a finite number."""
        for value in _several(self.private(group, creator, element)):
            return _number(value)
        return None


def raw_element(dataset: Dataset, tag: int) -> DataElement | RawDataElement | None:
    """Return an element as it was parsed: nothing is converted, and nothing fetched from disk."""
    return next((element for known, element in dataset.items() if known == tag), None)


def _value(dataset: Dataset, tag: int | None) -> object:
    """Return a value that is neither absent nor empty nor beyond decoding."""
    if tag is None or tag not in dataset:
        return None
    try:
        value = dataset[tag].value
    except Exception:  # noqa: BLE001  a hostile value makes pydicom raise anything at all
        return None
    return None if value is None or (hasattr(value, "__len__") and len(value) == 0) else value


def _is_creator(value: object, creator: str) -> bool:
    """Whether a private block is reserved by `creator`; its case differs between versions."""
    return str(value).strip().upper() == creator.upper()


def _several(value: object) -> tuple[object, ...]:
    """Return a single or multiple value as a tuple."""
    if value is None:
        return ()
    return tuple(value) if isinstance(value, MultiValue | list | tuple) else (value,)


def _number(value: object) -> float | None:
    """Return `value` as a finite number, else None."""
    if not isinstance(value, int | float | str | Decimal):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
