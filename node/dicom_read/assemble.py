"""First passes to arrays: pixel data, physics, states and the sentences for the report."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from node.config import Analysis
from node.dicom_read.dual_bolus import Prebolus
from node.dicom_read.frames import Frame
from node.dicom_read.geometry import USUAL_ANGLE_DEG, long_axis_angle_deg
from node.dicom_read.haemodynamics import heart_rate_bpm, systolic_pressure_mmhg
from node.dicom_read.instances import Aside
from node.dicom_read.passes import FEWEST_FRAMES, Pass
from node.dicom_read.physics import has_density_angle, proton_density_readout, read_physics
from node.dicom_read.pixels import bright_start, read_signal
from node.dicom_read.recognise import speaks_of_perfusion
from node.dicom_read.runs import one_echo
from node.dicom_read.sources import (
    FirstPassSource,
    PixelDataError,
    ReadStudy,
    SliceSource,
    UnknownPhysicsError,
)
from node.dicom_read.states import Decision, Evidence, decide_states
from node.dicom_read.tracks import Track
from pipeline.errors import InvalidStudyError
from pipeline.study import (
    FirstPass,
    InputKind,
    InputSeries,
    PerfusionSlice,
    PerfusionStudy,
    Readout,
    SecondEcho,
    State,
    T1Map,
)


def assemble(
    passes: Sequence[Pass],
    preboluses: Sequence[Prebolus | None],
    t1_maps: tuple[T1Map, ...],
    config: Analysis,
    aside: Aside,
) -> ReadStudy:
    """Read the pixel data of the chosen frames and put the study together.

    Raises
    ------
    NoPerfusionError
        No first pass has known physics and enough frames with readable pixel data.
    """
    rates = [
        heart_rate_bpm(f.slices[0].frames, f.slices[0].seconds, measured=f.measured) for f in passes
    ]
    evidence = [
        Evidence(
            headers=found.headers,
            heart_rate_bpm=rate[0] if rate else None,
            start_s=found.start_s,
        )
        for found, rate in zip(passes, rates, strict=True)
    ]
    decisions = decide_states(evidence, config)
    labels = _labels([decision.state for decision in decisions])
    made = []
    for index, found in enumerate(passes):
        builder = _Builder(labels[index], config, aside)
        built = builder.build(found, preboluses[index], decisions[index], rates[index])
        if built is not None:
            made.append(built)
    if not made:
        raise aside.nothing_left()
    return ReadStudy(
        study=PerfusionStudy(
            first_passes=tuple(built.first_pass for built in made),
            notes=(*(note for built in made for note in built.notes), *_t1_notes(t1_maps)),
            t1_maps=t1_maps,
        ),
        sources=tuple(built.source for built in made),
        set_aside=aside.entries(),
    )


def _t1_notes(t1_maps: Sequence[T1Map]) -> list[str]:
    """Name the T1 maps once each."""
    names = dict.fromkeys(one.name for one in t1_maps)
    return [f"{name} is a T1 map taken before contrast agent was given." for name in names]


def _labels(states: Sequence[State]) -> list[str]:
    """Name first passes uniquely: ``rest``, ``stress``, ``stress 2``, ``perfusion 1``."""
    labels: list[str] = []
    seen: Counter[str] = Counter()
    for number, state in enumerate(states, start=1):
        if state is State.UNDETERMINED:
            labels.append(f"perfusion {number}")
            continue
        seen[state.value] += 1
        count = seen[state.value]
        labels.append(state.value if count == 1 else f"{state.value} {count}")
    return labels


@dataclass(frozen=True, kw_only=True, eq=False)
class _Built:
    first_pass: FirstPass
    source: FirstPassSource
    notes: tuple[str, ...]


class _Builder:
    """Builds one first pass and gathers the sentences about it."""

    def __init__(self, label: str, config: Analysis, aside: Aside) -> None:
        self._label = label
        self._config = config
        self._aside = aside
        self._notes: list[str] = []

    def build(
        self,
        found: Pass,
        prebolus: Prebolus | None,
        decision: Decision,
        rate: tuple[float, str] | None,
    ) -> _Built | None:
        """Return the first pass, None where its physics or pixel data cannot be read."""
        try:
            physics, physics_notes = read_physics(found.first.header, self._config)
        except InvalidStudyError as error:
            paths = [frame.source.path for track in found.slices for frame in track.frames]
            reason = f"it cannot be quantified: {error}"
            self._aside.add(found.first.series, reason, paths, UnknownPhysicsError)
            return None
        slices = [
            self._slice(replace(track, frames=one_echo(track.frames, self._aside)), physics.readout)
            for track in found.slices
        ]
        readable = [built for built in slices if built is not None]
        if not readable:
            return None
        self._note_times(found)
        self._note_recognition(found, rate)
        for note in physics_notes:
            self._note(note)
        start = min(float(built.time_s[0]) for built, _ in readable)
        readable = [(_since(built, start), where) for built, where in readable]
        source = self._input(found, prebolus, start)
        return _Built(
            first_pass=FirstPass(
                label=self._label,
                state=decision.state,
                state_reason=decision.reason,
                slices=tuple(built for built, _ in readable),
                physics=physics,
                heart_rate_bpm=rate[0] if rate else None,
                systolic_pressure_mmhg=self._pressure(found, decision.state),
                input_series=source[0] if source else None,
            ),
            source=FirstPassSource(
                slices=tuple(where for _, where in readable),
                time_key=found.time_key,
                input_series=source[1] if source else None,
            ),
            notes=tuple(self._notes),
        )

    def _note(self, sentence: str) -> None:
        """Keep a sentence once."""
        line = f"{self._label}: {sentence}"
        if line not in self._notes:
            self._notes.append(line)

    def _pressure(self, found: Pass, state: State) -> float | None:
        """Systolic pressure of the header, at rest else of the configuration."""
        told = next(filter(None, map(systolic_pressure_mmhg, found.headers)), None)
        configured = self._config.rest_systolic_mmhg if state is State.REST else None
        if told is None and configured is not None:
            self._note(f"The systolic pressure of {configured:g} mmHg is from the configuration.")
        return told or configured

    def _note_times(self, found: Pass) -> None:
        self._note(f"The times of the images are {found.time_key}.")
        if not found.measured:
            self._note("These times are counted, not measured: missed heart beats may not show.")
        if found.coarse:
            self._note("These times are whole seconds.")

    def _note_recognition(self, found: Pass, rate: tuple[float, str] | None) -> None:
        if not any(speaks_of_perfusion(header) for header in found.headers):
            self._note("It was recognised as perfusion by its structure; no word says so.")
        angle = long_axis_angle_deg(found.first.geometry)
        if angle > USUAL_ANGLE_DEG:
            self._note(f"Its slices are turned {angle:.0f} degrees from the usual short axis.")
        if any(track.motion_compensated for track in found.slices):
            self._note("Only the scanner's motion-compensated images are there; they were used.")
        if rate is not None and " " in rate[1]:
            self._note(f"The heart rate was estimated from {rate[1]}.")

    def _slice(self, track: Track, readout: Readout) -> tuple[PerfusionSlice, SliceSource] | None:
        """Read one slice; frames that cannot be decoded are set aside."""
        good, images = self._readable(track.frames)
        leading = bright_start(images)
        unsaturated = track.proton_density
        if leading and not unsaturated and has_density_angle(track.first.header, self._config):
            unsaturated = tuple(track.frames[i] for i in good[:leading])
        elif leading:
            self._note(
                f"The first {leading} images of a slice are much brighter than the next, as "
                "without saturation, though no header says so; they were left out."
            )
        good, images = good[leading:], images[leading:]
        if len(good) < FEWEST_FRAMES:
            return None
        frames = [track.frames[i] for i in good]
        density, density_frames, density_readout = self._proton_density(unsaturated, readout)
        if max(_distance_mm(frame, frames[0]) for frame in frames) > 0.01:
            self._note(
                "The place of a slice changes by up to 0.5 mm; that of its first image is used."
            )
        image_slice = PerfusionSlice(
            frames=np.stack(images),
            time_s=track.seconds[good],
            geometry=frames[0].geometry,
            proton_density=density,
            proton_density_readout=density_readout,
        )
        source = SliceSource(
            frames=tuple(frame.source for frame in frames),
            series_instance_uid=frames[0].series_uid,
            frame_of_reference_uid=frames[0].header.text("FrameOfReferenceUID") or None,
            proton_density=tuple(frame.source for frame in density_frames),
        )
        return image_slice, source

    def _readable(self, frames: Sequence[Frame]) -> tuple[list[int], list[np.ndarray]]:
        """Decode frames; return the indices that can be, and their images."""
        signal = read_signal(frames)
        bad = [frames[i].source.path for i, image in enumerate(signal) if image is None]
        if bad:
            reason = "its pixel data cannot be decoded"
            self._aside.add(frames[0].series, reason, bad, PixelDataError)
        good = [index for index, image in enumerate(signal) if image is not None]
        return good, [image for image in signal if image is not None]

    def _proton_density(
        self, frames: Sequence[Frame], readout: Readout
    ) -> tuple[np.ndarray | None, list[Frame], Readout | None]:
        """Read the proton-density frames where their readout is known."""
        if not frames:
            return None, [], None
        density = proton_density_readout(frames[0].header, readout, self._config)
        if density is None:
            self._note(
                "There are proton-density images, but neither header nor configuration gives their "
                "own flip angle, so they were not used."
            )
            return None, [], None
        good, images = self._readable(frames)
        if not good:
            return None, [], None
        self._note(f"{len(good)} proton-density images of each slice are used.")
        return np.stack(images), [frames[i] for i in good], density

    def _input(
        self, found: Pass, prebolus: Prebolus | None, start: float
    ) -> tuple[InputSeries, SliceSource] | None:
        """Read the separate series for the input function, if there is one.

        A series of the same bolus keeps the clock of the slices, which starts at `start`; a dilute
        bolus has its own, from its first frame.
        """
        if found.input_track is not None:
            track, kind, ratio = found.input_track, InputKind.DUAL_SEQUENCE, 1.0
            sentence = "A separate low-resolution series is there for the input function."
        elif prebolus is not None:
            track, kind, ratio = prebolus.track, InputKind.DUAL_BOLUS, prebolus.dose_ratio
            sentence = f"A dilute bolus is there for the input function: {prebolus.reason}."
        else:
            return None
        physics, notes = read_physics(track.first.header, self._config)
        built = self._slice(track, physics.readout)
        if built is None:
            return None
        own_start = start if found.input_track is not None else float(built[0].time_s[0])
        self._note(sentence)
        for note in notes:
            self._note(f"Input function series: {note}")
        series = InputSeries(
            kind=kind,
            slice=_since(built[0], own_start),
            readout=physics.readout,
            dose_ratio=ratio,
            second_echo=self._second_echo(track, built[1]),
        )
        return series, built[1]

    def _second_echo(self, track: Track, source: SliceSource) -> SecondEcho | None:
        """Read the second echo of the frames that were read, where all of them have one."""
        frames = {frame.source: frame for frame in track.frames}
        late = [frames[one].second_echo for one in source.frames]
        found = [frame for frame in late if frame is not None]
        if not found or len(found) < len(late):
            return None
        echo_time_ms = found[0].echo_time_ms
        good, images = self._readable(found)
        if len(good) < len(found) or echo_time_ms is None:
            return None
        self._note(
            f"A second echo at {echo_time_ms:g} ms tells T2* of the blood in the series for the "
            "input function."
        )
        return SecondEcho(frames=np.stack(images), echo_time_s=echo_time_ms * 1e-3)


def _since(built: PerfusionSlice, start: float) -> PerfusionSlice:
    """Set the clock of a slice."""
    return replace(built, time_s=built.time_s - start)


def _distance_mm(one: Frame, other: Frame) -> float:
    return float(np.abs(np.subtract(one.geometry.position_mm, other.geometry.position_mm)).max())
