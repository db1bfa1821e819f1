"""docs/results.md says what is really sent."""

import re
from pathlib import Path

from node.dicom_write import codes

DOCUMENT = (Path(__file__).parents[3] / "docs" / "results.md").read_text(encoding="utf-8")


def test_the_table_of_objects_is_what_is_encoded(case, objects):
    objects = [*objects, *case.only("pdf").encode()]
    sent = {
        (one.SeriesDescription, int(one.SeriesNumber), one.SOPClassUID.name)
        for one in objects
        if " rest" not in one.SeriesDescription
    }
    rows = re.findall(
        r"^\| `[a-z-]+`(?: \(not by default\))? \| ([^|]+) \| (\d) \| ([^|(]+)",
        DOCUMENT,
        re.MULTILINE,
    )
    documented = set()
    for description, digit, kind in rows:
        base = 9020 if "stress" in description else 9000
        documented.add((description.strip(), base + int(digit), f"{kind.strip()} Storage"))
    assert {(one[0], one[1]) for one in documented} == {(one[0], one[1]) for one in sent}
    assert {one[2].replace(" Image", "") for one in documented} == {
        one[2].replace(" Image", "") for one in sent
    }


def test_the_codes_in_the_document_are_those_in_the_table():
    in_code = {
        (code.value, code.scheme_designator)
        for code in (*vars(codes).values(), *codes.AHA.values(), codes.model("fermi"),
                     codes.model("btex"), codes.model("model-free"), codes.model("2cxm"))
        if isinstance(code, codes.Code)
    }  # fmt: skip
    written = set(
        re.findall(r"\(([0-9A-Z]+|ml/min/g|\{ratio\}), (DCM|SCT|UCUM|99PERFNODE)", DOCUMENT)
    )
    assert len(written) > 12
    assert written <= in_code
