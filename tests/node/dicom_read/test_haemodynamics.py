"""Blood pressure, where a scanner's console wrote it into the acquisition context."""

import pytest
from pydicom import Dataset

from node.config import Analysis
from node.dicom_read import read_study
from tests.node.instances import Series, update, write

CODES = [("271649006", "SCT"), ("8480-6", "LN"), ("F-008EC", "SRT")]


def coded(value, scheme):
    item = Dataset()
    update(item, CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning="x")
    return item


def context(mmhg, name=CODES[0], unit="mm[Hg]"):
    """What alters an image so that its context holds a pressure."""

    def change(_index, _time, dataset):
        item = Dataset()
        update(
            item,
            ConceptNameCodeSequence=[coded(*name)],
            NumericValue=mmhg,
            MeasurementUnitsCodeSequence=[coded(unit, "UCUM")],
        )
        dataset.AcquisitionContextSequence = [item]

    return change


def pressure_of(series, tmp_path, config=None):
    study = read_study(write(series.datasets(), tmp_path), config or Analysis()).study
    return study.first_passes[0].systolic_pressure_mmhg, study.notes


@pytest.mark.parametrize("name", CODES)
def test_the_pressure_of_the_acquisition_context_is_read(name, tmp_path):
    series = Series(description="perfusion rest", change=context(128, name))
    assert pressure_of(series, tmp_path)[0] == 128.0


@pytest.mark.parametrize(
    "change", [context(12), context(128, unit="kPa"), context(80, ("1", "LN"))]
)
def test_what_is_no_systolic_pressure_in_mmhg_is_not_taken(change, tmp_path):
    series = Series(description="perfusion rest", change=change)
    assert pressure_of(series, tmp_path)[0] is None


def test_a_given_pressure_counts_at_rest_only_and_behind_the_header(tmp_path):
    config = Analysis(rest_systolic_mmhg=140)
    found, notes = pressure_of(Series(description="perfusion rest"), tmp_path / "a", config)
    assert found == 140.0
    assert any("140 mmHg" in note and "configuration" in note for note in notes)
    assert pressure_of(Series(description="stress"), tmp_path / "b", config)[0] is None
    told = Series(description="perfusion rest", change=context(128))
    assert pressure_of(told, tmp_path / "c", config)[0] == 128.0
