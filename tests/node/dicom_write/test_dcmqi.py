"""dcmqi, which shares no code with us or our library, reads the same masks, maps and numbers."""

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pydicom.uid import ComprehensiveSRStorage, ParametricMapStorage

from tests.node.dicom_write.cases import drawn_sectors


@pytest.fixture
def dcmqi(tmp_path):
    """Run a program of dcmqi on an object; skip where dcmqi is not installed."""

    def run(name, dataset, *arguments) -> Path:
        beside = Path(sys.executable).with_name(name)
        program = str(beside) if beside.exists() else shutil.which(name)
        if program is None:
            pytest.skip("dcmqi absent: pip install dcmqi")
        path, out = tmp_path / "object.dcm", tmp_path / "out"
        out.mkdir()
        dataset.save_as(path, enforce_file_format=True)
        done = subprocess.run(
            [program, "--inputDICOM", path, *(part.format(out=out) for part in arguments)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "absent" not in done.stderr
        return out

    return run


def read_nrrd(path: Path):
    """Read an image as [slice, row, column] with its header."""
    header, _, data = path.read_bytes().partition(b"\n\n")
    fields = dict(line.split(": ", 1) for line in header.decode().splitlines() if ": " in line)
    columns, rows, slices = map(int, fields["sizes"].split())
    dtype = {"short": "<i2", "float": "<f4"}[fields["type"]]
    content = gzip.decompress(data) if fields["encoding"] == "gzip" else data
    return np.frombuffer(content, dtype).reshape(slices, rows, columns), fields


def described(objects, start):
    [found] = [one for one in objects if one.SeriesDescription.startswith(start)]
    return found


def test_aha_segments_are_read_back_exactly(case, objects, dcmqi):
    out = dcmqi(
        "segimage2itkimage", described(objects, "AHA segments stress"),
        "--outputDirectory", "{out}", "--outputType", "nrrd", "--mergeSegments",
    )  # fmt: skip
    volume, _ = read_nrrd(out / "1.nrrd")
    truth = np.stack([drawn_sectors(one) for one in case.result.first_passes[1].slices])
    assert np.array_equal(volume, truth)
    labels = {
        segment["labelID"]: segment["SegmentLabel"]
        for group in json.loads((out / "meta.json").read_text())["segmentAttributes"]
        for segment in group
    }
    assert labels[8] == "AHA 08 mid anteroseptal"


def test_flow_map_is_read_back_exactly_where_it_lies(case, objects, dcmqi):
    out = dcmqi(
        "paramap2itkimage", described(objects, "MBF stress [mL/min/g]"),
        "--outputDirectory", "{out}", "--outputType", "nrrd",
    )  # fmt: skip
    volume, fields = read_nrrd(out / "pmap.nrrd")
    slices = case.result.first_passes[1].slices
    truth = np.stack([np.nan_to_num(one.maps.mbf_ml_min_g) for one in slices])
    assert np.array_equal(volume, truth.astype(np.float32))
    origin = [float(value) for value in fields["space origin"].strip("()").split(",")]
    assert np.allclose(origin, slices[0].geometry.position_mm, atol=1e-5)
    meta = json.loads((out / "meta.json").read_text())
    assert meta["MeasurementUnitsCode"]["CodeValue"] == "ml/min/g"
    assert meta["QuantityValueCode"]["CodeValue"] == "126390"


def test_the_probability_of_the_wall_is_read_back_exactly(case, objects, dcmqi):
    out = dcmqi(
        "paramap2itkimage", described(objects, "LV wall rest"),
        "--outputDirectory", "{out}", "--outputType", "nrrd",
    )  # fmt: skip
    volume, _ = read_nrrd(out / "pmap.nrrd")
    truth = [one.regions.wall_probability for one in case.result.first_passes[0].slices]
    assert np.array_equal(volume, np.stack(truth).astype(np.float32))
    meta = json.loads((out / "meta.json").read_text())
    assert meta["MeasurementUnitsCode"]["CodeValue"] == "1"
    assert meta["QuantityValueCode"]["CodeMeaning"] == "Fractional Probabilistic Segmentation"


def test_every_flow_of_the_report_is_read_back(case, objects, dcmqi):
    [report] = [one for one in objects if one.SOPClassUID == ComprehensiveSRStorage]
    out = dcmqi("tid1500reader", report, "--outputMetadata", "{out}/report.json")
    groups = json.loads((out / "report.json").read_text())["Measurements"]
    flows = {group["TrackingIdentifier"]: group["measurementItems"] for group in groups
             if group.get("measurementItems")}  # fmt: skip
    for first_pass in case.result.first_passes:
        for one in first_pass.segments:
            [items] = [
                items for name, items in flows.items()
                if name.startswith(f"MBF {first_pass.label} AHA {one.segment:02d}")
            ]  # fmt: skip
            assert float(items[0]["value"]) == round(one.mbf_ml_min_g, 3)
            assert items[0]["units"]["CodeValue"] == "ml/min/g"


def test_standard_deviation_map_says_that_it_is_one(objects):
    sd_map = described(objects, "MBF SD rest")
    assert sd_map.SOPClassUID == ParametricMapStorage
    [mapping] = sd_map.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence
    meanings = [item.ConceptCodeSequence[0].CodeMeaning for item in
                mapping.QuantityDefinitionSequence]  # fmt: skip
    assert "Standard Deviation" in meanings
