"""Stands in for `perfusion-node process`: a study folder in, two objects out, UIDs by hash.

Slow where ANALYSIS_SECONDS says so. Run as a program by the worker under test.
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
    arguments = parser.parse_args()
    images = [dcmread(path) for path in sorted(arguments.study.iterdir())]
    time.sleep(float(os.environ.get("ANALYSIS_SECONDS", "0")))
    uids = sorted(str(image.SOPInstanceUID) for image in images)
    arguments.out.mkdir()
    objects = []
    for kind, sop_class in OBJECTS:
        made = result(images[0], uids, kind, sop_class)
        made.save_as(arguments.out / f"{kind}.dcm", enforce_file_format=True)
        objects.append(
            {
                "file": f"{kind}.dcm",
                "kind": kind,
                "sop_class_uid": str(sop_class),
                "sop_instance_uid": str(made.SOPInstanceUID),
            }
        )
    sys.stdout.write(
        json.dumps({"status": "analysed", "reason": "", "objects": objects, "segments": []})
    )
    return 0


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
    return made


if __name__ == "__main__":
    raise SystemExit(main())
