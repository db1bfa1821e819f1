"""DICOM files to a `PerfusionStudy`: the only reader of headers."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from node.config import Analysis
from node.dicom_read.assemble import assemble
from node.dicom_read.dual_bolus import pair_boluses
from node.dicom_read.frames import Frame, frames_of
from node.dicom_read.header import Header, tolerant_reading
from node.dicom_read.instances import Aside, open_instances
from node.dicom_read.passes import Pass, find_passes
from node.dicom_read.recognise import refusal
from node.dicom_read.runs import find_runs
from node.dicom_read.sources import ReadStudy, SeveralPatientsError
from node.dicom_read.t1_maps import is_t1_map, native_t1_maps


def read_study(files: Sequence[Path], config: Analysis) -> ReadStudy:
    """Turn the files of one examination into arrays, or say precisely why not.

    Parameters
    ----------
    files
        Any files in any order: what is no perfusion image is set aside with a reason.
    config
        Physics that headers do not carry, and words that mark rest and stress.

    Raises
    ------
    NoPerfusionError
        Nothing can be analysed; subclasses tell why where one reason decides.
    """
    with tolerant_reading():
        aside = Aside()
        candidates, maps = _candidates(files, aside)
        passes = find_passes(find_runs(candidates, aside), aside)
        passes = _of_one_patient_and_study(passes, aside)
        if not passes:
            for one in maps:
                aside.add(one.series, "it is a T1 map without a first pass", [one.source.path])
            raise aside.nothing_left()
        t1_maps = native_t1_maps(maps, passes, aside)
        kept, preboluses = pair_boluses(passes, config)
        return assemble(kept, preboluses, t1_maps, config, aside)


def _candidates(files: Sequence[Path], aside: Aside) -> tuple[list[Frame], list[Frame]]:
    """Return the images that may be perfusion, and T1 maps, in an order that files do not change.

    What is certainly none is let go at once: an examination has thousands of images.
    """
    frames: list[Frame] = []
    maps: list[Frame] = []
    for instance in open_instances(files, aside):
        for frame in frames_of(instance, aside):
            reason = refusal(frame)
            if reason is None:
                frames.append(frame)
            elif is_t1_map(frame):
                maps.append(frame)
            else:
                aside.add(frame.series, reason, [frame.source.path])
    return sorted(frames, key=_identity), sorted(maps, key=_identity)


def _identity(frame: Frame) -> tuple[str, int]:
    return frame.source.sop_instance_uid, frame.source.frame_number or 0


def _of_one_patient_and_study(passes: list[Pass], aside: Aside) -> list[Pass]:
    """Refuse to mix patients; keep the study with most frames where there are several."""
    frames = [f for found in passes for track in found.slices for f in track.frames]
    if len({_patient(frame.header) for frame in frames}) > 1:
        summary = "The perfusion images belong to more than one patient; nothing was analysed."
        raise SeveralPatientsError(summary, aside.entries())
    counts = Counter(frame.header.text("StudyInstanceUID") for frame in frames)
    if len(counts) <= 1:
        return passes
    chosen = max(sorted(counts), key=lambda uid: counts[uid])
    kept = []
    for found in passes:
        if found.first.header.text("StudyInstanceUID") == chosen:
            kept.append(found)
        else:
            paths = {f.source.path for track in found.slices for f in track.frames}
            aside.add(found.first.series, "it belongs to another examination", paths)
    return kept


def _patient(header: Header) -> tuple[str, ...]:
    """Return what tells patients apart: the ID, or where there is none name and birth date."""
    identity = header.text("PatientID")
    if identity:
        return identity, header.text("IssuerOfPatientID")
    return header.text("PatientName"), header.text("PatientBirthDate")
