"""Every object is valid, says what it is and lies where the images lie."""

from dataclasses import replace

import highdicom as hd
import numpy as np
import pydicom
import pytest
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.uid import (
    MRImageStorage,
    ParametricMapStorage,
    SegmentationStorage,
)

from node.config import Results
from node.dicom_write import encode_not_analysed, write_results
from tests.node.dicom_write.cases import drawn, drawn_sectors


def break_values(header, **values):
    for keyword, value in values.items():
        representation = dictionary_VR(tag_for_keyword(keyword))
        header[keyword] = DataElement(
            keyword, representation, value, validation_mode=pydicom.config.IGNORE
        )


def of_class(objects, sop_class_uid, description=""):
    return [
        one
        for one in objects
        if one.SOPClassUID == sop_class_uid and one.SeriesDescription.startswith(description)
    ]


@pytest.mark.peer
def test_every_object_passes_dciodvfy(objects, verify):
    one_a_series = {one.SeriesInstanceUID: one for one in objects}.values()
    complaints = {one.SeriesDescription: verify(one) for one in one_a_series}
    assert complaints == {one.SeriesDescription: [] for one in one_a_series}
    assert len(complaints) == 18


@pytest.mark.peer
@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.clear(),
        lambda header: break_values(header, PatientSex="U", PatientBirthDate="around 1960"),
        lambda header: header.__delattr__("PatientName"),
        lambda header: break_values(header, StudyTime="25", PatientAge="66"),
    ],
    ids=["empty header", "invalid sex and date", "no name", "invalid time and age"],
)
def test_gaps_and_faults_of_the_source_are_closed(case, verify, change):
    changed = case.with_header(change)
    for kinds in (("segmentation", "parametric-map", "mbf-mr"), ("report",)):
        for one in changed.only(*kinds).encode():
            assert verify(one) == [], one.SeriesDescription


def test_patient_and_study_are_copied_as_they_came(objects):
    for one in objects:
        assert one.PatientName == "Müller^Jürgen"
        assert one.SpecificCharacterSet == "ISO_IR 100"
        assert one.PatientID == "P-001"
        assert one.StudyInstanceUID == "1.2.3.4"
        assert one.AccessionNumber == "A1"


@pytest.mark.parametrize(
    ("character_sets", "name"),
    [
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce"),
        ("ISO_IR 192", "\u0410\u043d\u043d\u0430"),
        ("ISO_IR 100", "no caret, but na\u00efve"),
    ],
    ids=["Japanese", "Cyrillic", "Latin"],
)
def test_names_survive_their_character_set_and_stay_out_of_logs(
    case, character_sets, name, caplog, tmp_path
):
    def rename(header):
        header.SpecificCharacterSet = character_sets
        header.PatientName = name

    changed = case.with_header(rename).only("segmentation", "parametric-map", "mbf-mr", "report")
    for path in write_results(changed.encode(), tmp_path):
        assert pydicom.dcmread(path).PatientName == name
    assert name not in caplog.text


def test_every_object_says_research_and_names_the_node_and_the_scanner(objects):
    for one in objects:
        assert one.SeriesDescription.endswith("RESEARCH")
        makers = [item.Manufacturer for item in one.ContributingEquipmentSequence]
        assert makers == ["Scanner maker", "perfusion-node"]
        assert one.get("ContentQualification", "RESEARCH") == "RESEARCH"


def test_dates_are_those_of_the_source_and_no_clock_is_read(objects):
    for one in objects:
        assert (one.ContentDate, one.ContentTime) == ("20260901", "102033.5")
        assert "InstanceCreationDate" not in one


def test_series_numbers_lie_in_the_configured_block(case):
    config = Results(series_number_base=500, objects=("mbf-mr", "report"))
    numbers = {one.SeriesNumber for one in replace(case, config=config).encode()}
    assert min(numbers) >= 500
    assert max(numbers) < 530


def test_parallel_slices_share_one_exact_orientation(objects):
    for description in ("Reference rest", "MBF rest"):
        series = of_class(objects, MRImageStorage, description)
        assert len(series) == 3
        assert len({tuple(one.ImageOrientationPatient) for one in series}) == 1
        assert len({tuple(one.ImagePositionPatient) for one in series}) == 3


def test_reference_image_is_the_frame_that_it_names(case, objects):
    rest = case.result.first_passes[0]
    for level, one in enumerate(of_class(objects, MRImageStorage, "Reference rest")):
        [source] = one.SourceImageSequence
        assert source.ReferencedSOPInstanceUID == f"1.2.3.7.{level + 1}.6"
        assert np.array_equal(one.pixel_array, np.rint(rest.slices[level].aligned.frames[5]))


def test_mbf_image_reads_back_in_flow(case, objects):
    stress = case.result.first_passes[1]
    for level, one in enumerate(of_class(objects, MRImageStorage, "MBF stress")):
        truth = stress.slices[level].maps.mbf_ml_min_g
        [mapping] = one.RealWorldValueMappingSequence
        value = one.pixel_array * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept
        measured = np.isfinite(truth)
        assert np.max(np.abs(value - truth)[measured]) <= 0.005 + 1e-9
        assert np.all(one.pixel_array[~measured] == one.PixelPaddingValue)
        assert "RescaleSlope" not in one


def test_parametric_map_carries_the_float_values_and_the_unit(case, objects):
    [rest_map] = of_class(objects, ParametricMapStorage, "MBF rest")
    assert "[mL/min/g]" in rest_map.SeriesDescription
    truth_at = {
        tuple(f"{value:.6f}" for value in one.geometry.position_mm): one.maps.mbf_ml_min_g
        for one in case.result.first_passes[0].slices
    }
    frames = zip(rest_map.pixel_array, rest_map.PerFrameFunctionalGroupsSequence, strict=True)
    for frame, group in frames:
        position = group.PlanePositionSequence[0].ImagePositionPatient
        truth = truth_at[tuple(f"{value:.6f}" for value in position)]
        assert np.array_equal(frame, np.nan_to_num(truth).astype(np.float32))
    functional = rest_map.SharedFunctionalGroupsSequence[0]
    groups = rest_map.PerFrameFunctionalGroupsSequence[0]
    mapping = (functional if "RealWorldValueMappingSequence" in functional else groups)[
        "RealWorldValueMappingSequence"
    ][0]
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "ml/min/g"
    assert functional.FrameAnatomySequence[0].AnatomicRegionSequence[0].CodeMeaning == "Heart"


def test_the_probability_of_the_wall_is_kept_as_one_and_coded_as_one(case, objects):
    [wall] = of_class(objects, ParametricMapStorage, "LV wall stress")
    assert wall.SeriesDescription == "LV wall stress [probability] RESEARCH"
    truth = np.stack([one.regions.wall_probability for one in case.result.first_passes[1].slices])
    assert np.array_equal(wall.pixel_array, truth.astype(np.float32))
    shared = wall.SharedFunctionalGroupsSequence[0]
    [mapping] = shared.RealWorldValueMappingSequence
    assert (mapping.DoubleFloatRealWorldValueFirstValueMapped,
            mapping.DoubleFloatRealWorldValueLastValueMapped) == (0, 1)  # fmt: skip
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "1"
    said = [item.ConceptCodeSequence[0].CodeValue for item in mapping.QuantityDefinitionSequence]
    assert said == ["110854", "49848007"]
    assert shared.FrameVOILUTSequence[0].WindowCenter == 0.5
    assert "FloatPixelPaddingValue" not in wall  # nought is a probability like any other
    [derivation] = wall.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence
    assert derivation.DerivationCodeSequence[0].CodeMeaning == "Segmentation"


def test_without_a_probability_there_is_no_map_of_it(case):
    def without(one):
        return replace(one, regions=replace(one.regions, wall_probability=None))

    passes = tuple(
        replace(one, slices=tuple(map(without, one.slices))) for one in case.result.first_passes
    )
    made = replace(case, result=replace(case.result, first_passes=passes)).encode()
    assert not of_class(made, ParametricMapStorage, "LV wall")
    assert of_class(made, ParametricMapStorage, "MBF")


def test_segmentations_lie_on_the_reference_series_and_name_the_scanner_frame(objects):
    reference = of_class(objects, MRImageStorage, "Reference stress")
    of_stress = [
        one for one in of_class(objects, SegmentationStorage) if "stress" in one.SeriesDescription
    ]
    assert len(of_stress) == 2
    for one in of_stress:
        first, second = one.ReferencedSeriesSequence
        assert first.SeriesInstanceUID == reference[0].SeriesInstanceUID
        assert {item.ReferencedSOPInstanceUID for item in first.ReferencedInstanceSequence} == {
            item.SOPInstanceUID for item in reference
        }
        assert second.SeriesInstanceUID == "1.2.3.8"


def test_segmentation_gives_back_the_masks(case, objects):
    [tissue] = of_class(objects, SegmentationStorage, "Tissue rest")
    [aha] = of_class(objects, SegmentationStorage, "AHA segments rest")
    reference = of_class(objects, MRImageStorage, "Reference rest")
    uids = [one.SOPInstanceUID for one in reference]
    slices = case.result.first_passes[0].slices
    for dataset, truth in (
        (aha, [drawn_sectors(one) for one in slices]),
        (tissue, [one.myocardium + 2 * one.lv_pool + 3 * one.rv_pool
                  for one in map(drawn, slices)]),
    ):  # fmt: skip
        segmentation = hd.seg.Segmentation.from_dataset(dataset)
        read_back = segmentation.get_pixels_by_source_instance(uids, combine_segments=True)
        assert np.array_equal(read_back, np.stack(truth))


def test_withheld_numbers_are_nowhere_but_the_outlines_are(withheld_case):
    made = withheld_case.only("reference", "segmentation", "parametric-map", "mbf-mr").encode()
    rest = [one for one in made if " rest" in one.SeriesDescription]
    maps = of_class(rest, ParametricMapStorage)
    assert [one.SeriesDescription for one in maps] == ["LV wall rest [probability] RESEARCH"]
    assert {one.SOPClassUID for one in rest} == {
        MRImageStorage,
        ParametricMapStorage,
        SegmentationStorage,
    }
    assert not [one for one in rest if one.SeriesDescription.startswith("MBF")]


def test_only_configured_objects_are_made(case):
    made = case.only("segmentation").encode()
    assert {one.SOPClassUID for one in made} == {SegmentationStorage}


@pytest.mark.parametrize("header", [Dataset(), "full"], ids=["empty header", "full header"])
@pytest.mark.peer
def test_what_was_not_analysed_is_said_in_valid_objects(header, case, verify):
    if header == "full":
        header = case.read.sources[0].slices[0].header()
    objects = encode_not_analysed(
        header,
        ["No series has \u2265 20 frames.", "Series 3 is a cine series."],
        instances=["1.2.3"],
        version="0.1.0",
        settings="model: fermi",
        series_number_base=9000,
    )
    assert [one.Modality for one in objects] == ["OT", "SR"]
    for one in objects:
        assert verify(one) == []
    sentences = [
        item.TextValue
        for section in objects[1].ContentSequence
        for item in section.get("ContentSequence", [])
    ]
    assert "Perfusion not analysed, because: No series has >= 20 frames." in sentences
