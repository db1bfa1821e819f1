"""One first pass: its slices, physics and input function, and the sentences about them."""

from dataclasses import dataclass, replace

from node.config import Analysis
from node.dicom_read.dual_bolus import Prebolus
from node.dicom_read.geometry import USUAL_ANGLE_DEG, long_axis_angle_deg
from node.dicom_read.haemodynamics import systolic_pressure_mmhg
from node.dicom_read.instances import Aside
from node.dicom_read.passes import Pass
from node.dicom_read.physics import read_physics
from node.dicom_read.recognise import speaks_of_perfusion
from node.dicom_read.runs import one_echo
from node.dicom_read.slices import SliceReader
from node.dicom_read.sources import FirstPassSource, SliceSource, UnknownPhysicsError
from node.dicom_read.states import Decision
from pipeline.errors import InvalidStudyError
from pipeline.study import FirstPass, InputKind, InputSeries, PerfusionSlice, Readout, State


@dataclass(frozen=True, kw_only=True, eq=False)
class Built:
    """A first pass, where it came from, and what is to be said of it."""

    first_pass: FirstPass
    source: FirstPassSource
    notes: tuple[str, ...]


class PassBuilder:
    """Builds one first pass and gathers the sentences about it."""

    def __init__(self, label: str, config: Analysis, aside: Aside) -> None:
        self._label = label
        self._config = config
        self._aside = aside
        self._notes: list[str] = []
        self._reader = SliceReader(config, aside, self._note)

    def build(
        self,
        found: Pass,
        prebolus: Prebolus | None,
        decision: Decision,
        rate: tuple[float, str] | None,
    ) -> Built | None:
        """Return the first pass, None where its physics or pixel data cannot be read.

        Parameters
        ----------
        rate
            Heart rate [1/min] and its origin in words.
        """
        try:
            physics, physics_notes = read_physics(found.first.header, self._config)
        except InvalidStudyError as error:
            paths = [frame.source.path for track in found.slices for frame in track.frames]
            reason = f"it cannot be quantified: {error}"
            self._aside.add(found.first.series, reason, paths, UnknownPhysicsError)
            return None
        readable = self._slices(found, physics.readout)
        if not readable:
            return None
        self._note_times(found)
        self._note_recognition(found, rate)
        for note in physics_notes:
            self._note(note)
        start_s = min(float(built.time_s[0]) for built, _ in readable)
        series = self._input(found, prebolus, start_s)
        return Built(
            first_pass=FirstPass(
                label=self._label,
                state=decision.state,
                state_reason=decision.reason,
                slices=tuple(_since(built, start_s) for built, _ in readable),
                physics=physics,
                heart_rate_bpm=rate[0] if rate else None,
                systolic_pressure_mmhg=self._pressure(found, decision.state),
                input_series=series[0] if series else None,
            ),
            source=FirstPassSource(
                slices=tuple(where for _, where in readable),
                time_key=found.time_key,
                input_series=series[1] if series else None,
            ),
            notes=tuple(self._notes),
        )

    def _slices(self, found: Pass, readout: Readout) -> list[tuple[PerfusionSlice, SliceSource]]:
        """Read the slices that can be read, by their first echo."""
        first_echoes = (
            replace(track, frames=one_echo(track.frames, self._aside)) for track in found.slices
        )
        slices = [self._reader.read(track, readout) for track in first_echoes]
        return [built for built in slices if built is not None]

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

    def _input(
        self, found: Pass, prebolus: Prebolus | None, start_s: float
    ) -> tuple[InputSeries, SliceSource] | None:
        """Read the separate series for the input function, if there is one.

        A series of the same bolus keeps the clock of the slices, which starts at `start_s`; a
        dilute bolus has its own, from its first frame.
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
        built = self._reader.read(track, physics.readout)
        if built is None:
            return None
        own_start_s = start_s if found.input_track is not None else float(built[0].time_s[0])
        self._note(sentence)
        for note in notes:
            self._note(f"Input function series: {note}")
        series = InputSeries(
            kind=kind,
            slice=_since(built[0], own_start_s),
            readout=physics.readout,
            dose_ratio=ratio,
            second_echo=self._reader.second_echo(track, built[1]),
        )
        return series, built[1]


def _since(built: PerfusionSlice, start_s: float) -> PerfusionSlice:
    """Set the clock of a slice."""
    return replace(built, time_s=built.time_s - start_s)
