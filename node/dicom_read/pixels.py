"""Pixel data as signal that can be compared between frames and series."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from pydicom.pixels.utils import iter_pixels

from node.dicom_read.frames import Frame
from pipeline.study import FloatArray


def read_signal(frames: Sequence[Frame]) -> tuple[FloatArray | None, ...]:
    """Decode each frame once and scale it; None where its pixel data cannot be decoded.

    Returns
    -------
    Per frame [row, column], float32, rescaled (PS3.3 C.11.1.1.2), padding set to 0.
    """
    signal: list[FloatArray | None] = [None] * len(frames)
    of_instance: dict[int, list[int]] = defaultdict(list)
    for index, frame in enumerate(frames):
        of_instance[id(frame.dataset)].append(index)
    for indices in of_instance.values():
        for index, stored in zip(indices, _decode([frames[i] for i in indices]), strict=True):
            signal[index] = None if stored is None else _scale(frames[index], stored)
    return tuple(signal)


def _decode(frames: Sequence[Frame]) -> Iterator[FloatArray | None]:
    """Yield the stored values of frames of one instance, None from the first broken one on."""
    numbers = [(frame.source.frame_number or 1) - 1 for frame in frames]
    decoded = 0
    try:
        for array in iter_pixels(frames[0].dataset, indices=numbers):
            yield array if array.shape == (frames[0].rows, frames[0].columns) else None
            decoded += 1
    except Exception:  # noqa: BLE001  decoders raise anything at all on broken data
        yield from [None] * (len(numbers) - decoded)


def _scale(frame: Frame, stored: FloatArray) -> FloatArray:
    """Turn stored values into signal."""
    slope, intercept = scale_of(frame)
    signal = stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    padding = frame.header.number("PixelPaddingValue")
    if padding is not None:
        signal[stored == padding] = 0.0
    return signal


def scale_of(frame: Frame) -> tuple[float, float]:
    """Return slope and intercept from stored values to signal."""
    slope = frame.header.number("RescaleSlope")
    return slope or 1.0, frame.header.number("RescaleIntercept") or 0.0
