"""A simulated study as a list of pictures with their times: what every dialect then encodes."""

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.phantom import FirstPassTruth, PhantomStudy
from pipeline.study import (
    FirstPass,
    FloatArray,
    InputKind,
    PerfusionSlice,
    Physics,
    Readout,
    SliceGeometry,
    State,
)

FIRST_PASS_START_S = 600.0
_PREBOLUS_LEAD_S = 120.0
_MMOL_PER_ML = 1.0  # gadobutrol


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """One image of one slice."""

    pixels: FloatArray
    """[row, column]."""
    time_s: float
    """After the start of the study."""
    position: int
    """Number of the slice from 0."""
    frame: int
    """Number in time from 0, proton-density frames counted."""
    delay_in_beat_s: float
    geometry: SliceGeometry
    readout: Readout
    proton_density: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Acquisition:
    """One dynamic acquisition: a first pass, or a separate one for its input function."""

    key: str
    """Unique in the study: ``rest``, ``rest AIF``."""
    description: str
    number: int
    """From 1, in the order of time."""
    start_s: float
    physics: Physics
    heart_rate_bpm: float
    agent_ml: float
    n_slices: int
    n_frames: int
    """Of each slice, proton-density frames counted."""
    largest: float
    """Largest pixel."""
    pictures: tuple[Picture, ...]
    """Slice by slice."""


def acquisitions(phantom: PhantomStudy, *, named: bool) -> list[Acquisition]:
    """List the acquisitions of a study in the order of time.

    `named`: whether the descriptions tell rest from stress.
    """
    pairs = sorted(
        zip(phantom.study.first_passes, phantom.truth.first_passes, strict=True),
        key=lambda pair: pair[1].start_s,
    )
    found: list[Acquisition] = []
    for first_pass, truth in pairs:
        words = _words(truth.state) if named else "perf sr sax"
        agent_ml = (first_pass.physics.dose_mmol_kg or 0.0) * phantom.truth.weight_kg / _MMOL_PER_ML
        found += _of_first_pass(first_pass, truth, words, agent_ml, len(found) + 1)
    return found


def _words(state: State) -> str:
    return {State.REST: "perf sr sax REST", State.STRESS: "perf sr sax STRESS"}.get(state, "perf")


def _of_first_pass(
    first_pass: FirstPass, truth: FirstPassTruth, words: str, agent_ml: float, number: int
) -> Iterator[Acquisition]:
    start = FIRST_PASS_START_S + truth.start_s
    separate = first_pass.input_series
    if separate is not None and separate.kind is InputKind.DUAL_BOLUS:
        yield _acquisition(
            first_pass,
            (separate.slice,),
            separate.readout,
            key=f"{truth.label} prebolus",
            description=f"{words} prebolus",
            number=number,
            start_s=start - _PREBOLUS_LEAD_S,
            agent_ml=agent_ml / separate.dose_ratio,
        )
        number += 1
    yield _acquisition(
        first_pass,
        first_pass.slices,
        first_pass.physics.readout,
        key=truth.label,
        description=words,
        number=number,
        start_s=start,
        agent_ml=agent_ml,
    )
    if separate is not None and separate.kind is InputKind.DUAL_SEQUENCE:
        yield _acquisition(
            first_pass,
            (separate.slice,),
            separate.readout,
            key=f"{truth.label} AIF",
            description=f"{words} AIF",
            number=number + 1,
            start_s=start,
            agent_ml=agent_ml,
        )


def _acquisition(
    first_pass: FirstPass,
    slices: tuple[PerfusionSlice, ...],
    readout: Readout,
    *,
    key: str,
    description: str,
    number: int,
    start_s: float,
    agent_ml: float,
) -> Acquisition:
    rate = first_pass.heart_rate_bpm or 60.0
    pictures = [
        picture
        for position, one in enumerate(slices)
        for picture in _of_slice(one, position, readout, start_s, 60.0 / rate)
    ]
    return Acquisition(
        key=key,
        description=f"SIMULATED {description}",
        number=number,
        start_s=start_s,
        physics=first_pass.physics,
        heart_rate_bpm=rate,
        agent_ml=agent_ml,
        n_slices=len(slices),
        n_frames=len(pictures) // len(slices),
        largest=max(float(picture.pixels.max()) for picture in pictures),
        pictures=tuple(pictures),
    )


def _of_slice(
    one: PerfusionSlice, position: int, readout: Readout, start_s: float, interval_s: float
) -> Iterator[Picture]:
    """Yield the pictures of one slice; proton-density ones come in the beats before."""
    density = [] if one.proton_density is None else list(one.proton_density)
    for frame, pixels in enumerate([*density, *one.frames]):
        quiet = frame < len(density)
        time_s = one.time_s[0] if quiet else one.time_s[frame - len(density)]
        earlier = (len(density) - frame) * interval_s if quiet else 0.0
        yield Picture(
            pixels=pixels,
            time_s=start_s + float(time_s) - earlier,
            position=position,
            frame=frame,
            delay_in_beat_s=float(one.time_s[0]),
            geometry=one.geometry,
            readout=one.proton_density_readout or readout if quiet else readout,
            proton_density=quiet,
        )
