"""Runs to first passes: what was acquired together belongs together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from node.dicom_read.frames import Frame
from node.dicom_read.geometry import base_to_apex, same_slice
from node.dicom_read.instances import Aside
from node.dicom_read.recognise import FEWEST_FRAMES, Run
from pipeline.study import FloatArray

_SHARE_OF_OVERLAP = 0.5
_LONGEST_INTERRUPTION_S = 10.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Pass:
    """The frames of one first pass, slices from base to apex, and their times."""

    slices: tuple[tuple[Frame, ...], ...]
    seconds: tuple[FloatArray, ...]
    """Since the first frame of all slices."""
    start_s: float | None
    """On the clock."""
    time_key: str
    measured: bool

    @property
    def first(self) -> Frame:
        """Any frame, for what is the same in all."""
        return self.slices[0][0]


def find_passes(runs: Sequence[Run], aside: Aside) -> list[Pass]:
    """Join runs to first passes, in the order of their acquisition."""
    groups: list[list[Run]] = []
    for run in sorted(runs, key=_order):
        together = [group for group in groups if any(_together(run, member) for member in group)]
        if together:
            together[0].append(run)
        else:
            groups.append([run])
    passes = [found for group in groups if (found := _join(group, aside)) is not None]
    return sorted(passes, key=lambda found: (found.start_s is None, found.start_s or 0.0))


def _order(run: Run) -> tuple[float, str]:
    span = run.span_s
    return (0.0 if span is None else span[0], run.first.source.sop_instance_uid)


def _together(one: Run, other: Run) -> bool:
    """Whether two runs were acquired at the same time, or one went on after an interruption."""
    if one.span_s is None or other.span_s is None:
        return not _shares_slice(one, other)
    (start, stop), (other_start, other_stop) = one.span_s, other.span_s
    overlap = min(stop, other_stop) - max(start, other_start)
    if overlap > 0:
        return overlap >= _SHARE_OF_OVERLAP * min(stop - start, other_stop - other_start)
    return -overlap <= _LONGEST_INTERRUPTION_S and _shares_slice(one, other)


def _shares_slice(one: Run, other: Run) -> bool:
    return any(same_slice(a[0], b[0]) for a in one.slices for b in other.slices)


def _join(runs: Sequence[Run], aside: Aside) -> Pass | None:
    """Join the slices of runs; None where too few frames are left."""
    same_key = len({run.timing.key.name for run in runs}) == 1
    slices: list[list[tuple[float, Frame]]] = []
    for run in runs:
        # relative times of one acquisition share their origin; different keys only share the clock
        shift = 0.0 if same_key else run.offset_s or 0.0
        for frames, seconds in zip(run.slices, run.seconds, strict=True):
            timed = [(float(s) + shift, f) for s, f in zip(seconds, frames, strict=True)]
            known = next((s for s in slices if same_slice(s[0][1], frames[0])), None)
            if known is None:
                slices.append(timed)
            elif timed[0][0] > known[-1][0]:
                known += timed
            else:
                reason = "the same slices at the same time are in another series, which is used"
                aside.add(frames[0].series, reason, {f.source.path for f in frames})
    return _finish(slices, runs, aside)


def _finish(
    slices: list[list[tuple[float, Frame]]], runs: Sequence[Run], aside: Aside
) -> Pass | None:
    """Drop slices with too few frames, order the others and set the clock to the first frame."""
    kept = [timed for timed in slices if len(timed) >= FEWEST_FRAMES]
    for timed in slices:
        if len(timed) < FEWEST_FRAMES:
            reason = (
                f"{len(timed)} images of a slice are too few for a first pass "
                f"(at least {FEWEST_FRAMES})"
            )
            aside.add(timed[0][1].series, reason, {f.source.path for _, f in timed})
    if not kept:
        return None
    order = base_to_apex([timed[0][1] for timed in kept])
    start = min(timed[0][0] for timed in kept)
    spans = [run.span_s for run in runs]
    starts = [span[0] for span in spans if span is not None]
    return Pass(
        slices=tuple(tuple(frame for _, frame in kept[i]) for i in order),
        seconds=tuple(np.array([moment - start for moment, _ in kept[i]]) for i in order),
        start_s=min(starts) if starts else None,
        time_key=runs[0].timing.key.name,
        measured=all(run.timing.key.measured for run in runs),
    )
