"""The same study, version and settings give the same bytes, in every process."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from node.dicom_write import write_results
from node.dicom_write.uids import Uids

ENCODE_AND_HASH = """
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("study", sys.argv[1])
study = importlib.util.module_from_spec(spec)
sys.modules["study"] = study
spec.loader.exec_module(study)
from node.dicom_write import write_results
write_results(study.a_case().encode(), Path(sys.argv[2]))
"""


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


def test_two_processes_write_the_same_bytes(objects, tmp_path):
    written = write_results(objects, tmp_path / "here")
    builder = Path(__file__).with_name("cases.py")
    subprocess.run(
        [sys.executable, "-c", ENCODE_AND_HASH, builder, tmp_path / "there"],
        check=True,
        cwd=Path(__file__).parents[3],
        env={"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo", "LANG": "C", "HOME": str(tmp_path)},
    )
    assert len(written) > 10
    assert digests(tmp_path / "here") == digests(tmp_path / "there")


def test_files_are_written_whole_and_again_with_the_same_names(case, tmp_path):
    case = case.only("segmentation", "report")
    first = write_results(case.encode(), tmp_path)
    before = digests(tmp_path)
    assert write_results(case.encode(), tmp_path) == first
    assert digests(tmp_path) == before
    assert not list(tmp_path.glob("*.part"))


def test_file_names_carry_nothing_of_the_patient(case, tmp_path):
    for path in write_results(case.only("mbf-mr").encode(), tmp_path):
        assert "P-001" not in path.name
        assert "ller" not in path.name


def test_identifiers_depend_on_images_version_and_settings(case):
    case = case.only("segmentation", "mbf-mr")

    def uids(changed):
        return {one.SOPInstanceUID for one in changed.encode()}

    base = uids(case)
    assert len(base) == len(case.encode())
    assert all(uid.startswith("2.25.") and len(uid) <= 64 for uid in base)
    assert not base & uids(replace(case, version="0.2.0"))
    assert not base & uids(replace(case, settings="model: 2cxm"))
    assert not base & uids(replace(case, config=case.config.model_copy(
        update={"series_number_base": 100})))  # fmt: skip


def test_what_says_something_else_is_another_object(case):
    """A series that is left alone changes the report's words, and nothing of the maps."""
    case = case.only("mbf-mr", "report")
    more = replace(case, read=replace(case.read, set_aside=()))
    before, after = ({one.SOPInstanceUID: one for one in made.encode()} for made in (case, more))
    assert {one.Modality for uid, one in before.items() if uid in after} == {"MR"}
    assert {one.Modality for uid, one in before.items() if uid not in after} == {"SR"}


def test_order_of_arrival_does_not_matter_and_a_late_image_does():
    assert Uids.of(["1.2", "1.3"], "1", "s") == Uids.of(["1.3", "1.2", "1.2"], "1", "s")
    assert Uids.of(["1.2", "1.3"], "1", "s") != Uids.of(["1.2", "1.3", "1.4"], "1", "s")
    assert Uids.of(["1.2"], "1", "s") != Uids.of(["1.2"], "1s", "")
