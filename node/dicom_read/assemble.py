"""First passes to a study: states, names, and what was read of each."""

from collections import Counter
from collections.abc import Sequence

from node.config import Analysis
from node.dicom_read.build import PassBuilder
from node.dicom_read.dual_bolus import Prebolus
from node.dicom_read.haemodynamics import heart_rate_bpm
from node.dicom_read.instances import Aside
from node.dicom_read.passes import Pass
from node.dicom_read.sources import ReadStudy
from node.dicom_read.states import Evidence, decide_states
from pipeline.study import PerfusionStudy, State, T1Map


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
    everything = zip(passes, preboluses, labels, decisions, rates, strict=True)
    built = [
        PassBuilder(label, config, aside).build(found, prebolus, decision, rate)
        for found, prebolus, label, decision, rate in everything
    ]
    made = [one for one in built if one is not None]
    if not made:
        raise aside.nothing_left()
    return ReadStudy(
        study=PerfusionStudy(
            first_passes=tuple(one.first_pass for one in made),
            notes=(*(note for one in made for note in one.notes), *_t1_notes(t1_maps)),
            t1_maps=t1_maps,
        ),
        sources=tuple(one.source for one in made),
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
