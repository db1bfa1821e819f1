"""Stands in for `perfusion-node process`: a study folder in, two objects out, UIDs by hash.

Slow where ANALYSIS_SECONDS says so, in need of ANALYSIS_MEGABYTES of disk.
Run as a program by the worker under test.
"""

import argparse
import hashlib
import json
import os
import sys
import time
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ExplicitVRLittleEndian,
    MRImageStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
)

from node.cli import guarded

OBJECTS = (
    ("parametric-map", ParametricMapStorage),
    ("mbf-mr", MRImageStorage),
    ("pictures", SecondaryCaptureImageStorage),
)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("study", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--config")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--replaces", type=Path, action="append", default=[])
    arguments = parser.parse_args()
    images = [dcmread(path) for path in sorted(arguments.study.iterdir())]
    time.sleep(float(os.environ.get("ANALYSIS_SECONDS", "0")))
    uids = sorted(str(image.SOPInstanceUID) for image in images)
    arguments.out.mkdir()
    ballast = arguments.out / "ballast"
    ballast.write_bytes(bytes(2**20 * int(os.environ.get("ANALYSIS_MEGABYTES", "0"))))
    ballast.unlink()
    objects = []
    results = {kind: result(images[0], uids, kind, sop_class) for kind, sop_class in OBJECTS}
    if arguments.replaces:
        for made in notes(images[0], uids, arguments.replaces[-1], results):
            results["rejection"] = made
    for kind, made in results.items():
        made.save_as(arguments.out / f"{kind}.dcm", enforce_file_format=True)
        objects.append(
            {
                "file": f"{kind}.dcm",
                "kind": kind,
                "sop_class_uid": str(made.SOPClassUID),
                "sop_instance_uid": str(made.SOPInstanceUID),
            }
        )
    sys.stdout.write(
        json.dumps(
            {
                "status": "analysed",
                "reason": "",
                "objects": objects,
                "first_passes": first_passes(images),
            }
        )
    )
    return 0


def first_passes(images: list[Dataset]) -> list[dict[str, object]]:
    """One for each series whose description is a state."""
    said = {str(image.get("SeriesDescription", "")) for image in images}
    return [{"state": state, "findings": []} for state in sorted(said & {"rest", "stress"})]


def result(image: Dataset, uids: list[str], kind: str, sop_class: str) -> Dataset:
    digest = hashlib.sha256(" ".join([kind, *uids]).encode()).hexdigest()
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID = sop_class
    made.SOPInstanceUID = f"2.25.{int(digest[:30], 16)}"
    made.StudyInstanceUID = image.StudyInstanceUID
    made.SeriesInstanceUID = f"2.25.{int(digest[30:60], 16)}"
    made.ImageComments = f"{len(uids)} images"
    if sop_class == MRImageStorage:
        made.ImageType = ["DERIVED", "PRIMARY", "PERFUSION", "MBF"]
    return made


def notes(
    image: Dataset, uids: list[str], earlier: Path, made: dict[str, Dataset]
) -> list[Dataset]:
    """The note that rejects earlier results, as the real analysis makes it, where it makes one."""
    from node.dicom_write.earlier import Replacing, read_earlier
    from node.dicom_write.provenance import Provenance
    from node.dicom_write.rejection import encode_rejection
    from node.dicom_write.uids import Uids

    provenance = Provenance(
        headers=(image,),
        uids=Uids.of(uids, "0", ""),
        version="0",
        settings="",
        series_number_base=9000,
        replacing=Replacing(latest=read_earlier(earlier)),
    )
    return encode_rejection(provenance, list(made.values()))


if __name__ == "__main__":
    raise SystemExit(guarded(main))
