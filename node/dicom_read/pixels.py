"""Pixel data as signal that can be compared between frames and series."""

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from pydicom.pixels.utils import iter_pixels

from node.dicom_read import philips
from node.dicom_read.frames import Frame
from pipeline.study import FloatArray

_MOST_BRIGHT = 5
_BRIGHT = 1.6


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
    private = all(philips.scale_slope(frame.header) is not None for frame in frames)
    for indices in of_instance.values():
        for index, stored in zip(indices, _decode([frames[i] for i in indices]), strict=True):
            if stored is not None:
                signal[index] = _scale(frames[index], stored, private=private)
    return tuple(signal)


def stored_values(frame: Frame) -> FloatArray | None:
    """Decode one frame without scaling it [row, column]; None where that cannot be done."""
    return next(_decode([frame]))


def _decode(frames: Sequence[Frame]) -> Iterator[FloatArray | None]:
    """Yield the stored values of frames of one instance, None from the first broken one on."""
    numbers = [(frame.source.frame_number or 1) - 1 for frame in frames]
    decoded = 0
    try:
        for array in iter_pixels(frames[0].dataset, indices=numbers):
            yield array if array.shape == (frames[0].rows, frames[0].columns) else None
            decoded += 1
    except MemoryError:
        raise  # the machine is too small, the image is not broken
    except Exception:  # noqa: BLE001  decoders raise anything at all on broken data
        yield from [None] * (len(numbers) - decoded)


def _scale(frame: Frame, stored: FloatArray, *, private: bool) -> FloatArray:
    """Turn stored values into signal."""
    slope, intercept = _scale_of(frame, private=private)
    signal = stored.astype(np.float32) * np.float32(slope) + np.float32(intercept)
    padding = frame.header.number("PixelPaddingValue")
    if padding is not None:
        signal[stored == padding] = 0.0
    return signal


def _scale_of(frame: Frame, *, private: bool) -> tuple[float, float]:
    """Return slope and intercept from stored values to signal.

    The displayed value DV is SV RS + RI. Philips' FP = DV / (RS SS) is the same for all series of
    an examination, DV is not: with RS it stretches every series to its own grey scale.
    """
    slope = frame.header.number("RescaleSlope") or 1.0
    intercept = frame.header.number("RescaleIntercept") or 0.0
    scale = philips.scale_slope(frame.header) if private else None
    return (slope, intercept) if scale is None else (1 / scale, intercept / (slope * scale))


def bright_start(images: Sequence[FloatArray]) -> int:
    """Return how many leading images are much brighter than those that follow them at once.

    Without saturation the whole body is brighter at one stroke, as no bolus makes it. At most five.
    """
    if len(images) < 3 * _MOST_BRIGHT:
        return 0
    levels = np.array([float(np.mean(image)) for image in images[: 3 * _MOST_BRIGHT]])
    for count in range(_MOST_BRIGHT, 0, -1):
        after = float(np.median(levels[count : count + _MOST_BRIGHT]))
        if after > 0 and levels[:count].min() > _BRIGHT * after:
            return count
    return 0
