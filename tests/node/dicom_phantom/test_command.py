import json

import numpy as np
import pydicom
import pytest

from node.cli import main
from node.commands.phantom import _DIALECTS
from node.dicom_phantom import DIALECTS


def test_the_command_offers_every_dialect():
    assert set(_DIALECTS) == set(DIALECTS)


def test_the_command_writes_images_with_their_truth(tmp_path, capsys):
    arguments = ["--seed", "3", "--frames", "4", "--slices", "2", "--matrix", "48"]
    assert main(["phantom", "--out", str(tmp_path), *arguments]) == 0
    images = sorted((tmp_path / "dicom").iterdir())
    assert f"{len(images)} images" in capsys.readouterr().out
    truth = json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))
    assert [one["label"] for one in truth["first_passes"]] == ["rest", "stress"]
    known = truth["first_passes"][0]["slices"][0]
    point = known["insertion_points_mm"]["anterior"]
    first = pydicom.dcmread(images[0])
    normal = np.cross(first.ImageOrientationPatient[:3], first.ImageOrientationPatient[3:])
    assert abs(normal @ np.subtract(point, known["image_position_mm"])) < 1e-3
    assert "SIMULATED" in first.SeriesDescription
    assert "SIMULATED" in first.ImageComments


def test_a_folder_with_images_is_not_written_into(tmp_path):
    (tmp_path / "dicom").mkdir()
    (tmp_path / "dicom" / "00001.dcm").touch()
    assert main(["phantom", "--out", str(tmp_path), "--seed", "1"]) == 2


@pytest.mark.parametrize("slices", ["0", "6"])
def test_an_impossible_number_of_slices_is_refused(tmp_path, slices):
    assert main(["phantom", "--out", str(tmp_path), "--seed", "1", "--slices", slices]) == 2
