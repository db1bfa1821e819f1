"""What a person looks at: the motion-compensated series and the colour pages."""

from dataclasses import replace

import numpy as np
import pytest
from pydicom.uid import BasicTextSRStorage, SecondaryCaptureImageStorage

from node.pictures.maps import map_pages
from pipeline.result import FirstPassFailure, PerfusionResult
from pipeline.study import State


def words(dataset) -> list[str]:
    """Every text in a document, depth first."""
    return [element.value for element in dataset.iterall() if element.keyword == "TextValue"]


@pytest.fixture(scope="session")
def motion(objects):
    return [one for one in objects if one.SeriesDescription.startswith("Motion-compensated rest")]


def test_motion_series_has_every_frame_in_time_order(case, motion):
    slices = case.result.first_passes[0].slices
    assert len(motion) == sum(len(one.aligned.frames) for one in slices)
    assert [one.InstanceNumber for one in motion] == list(range(1, len(motion) + 1))
    assert len({one.SOPInstanceUID for one in motion}) == len(motion)
    assert len({one.SeriesInstanceUID for one in motion}) == 1
    times = [float(one.AcquisitionTime) for one in motion[:12]]
    assert np.allclose(np.diff(times), 0.9)


def test_motion_frames_carry_the_aligned_pixels_and_name_their_source(case, motion):
    frames = np.concatenate([one.aligned.frames for one in case.result.first_passes[0].slices])
    for number, one in enumerate(motion):
        assert np.array_equal(one.pixel_array, np.rint(frames[number]))
        assert one.file_meta.MediaStorageSOPInstanceUID == one.SOPInstanceUID
        [source] = one.SourceImageSequence
        level, time = divmod(number, 12)
        assert source.ReferencedSOPInstanceUID == f"1.2.3.7.{level + 1}.{time + 1}"


def test_frames_that_were_not_fitted_say_so(case):
    rest = case.result.first_passes[0]
    weight = np.ones(12)
    weight[3] = 0
    first = replace(rest.slices[0], aligned=replace(rest.slices[0].aligned, frame_weight=weight))
    result = replace(
        case.result, first_passes=(replace(rest, slices=(first, *rest.slices[1:])),), reserve=()
    )
    made = replace(case, result=result).only("motion").encode()
    told = [number for number, one in enumerate(made) if "not used" in one.ImageComments]
    assert told == [3]


def test_weak_signal_is_scaled_up_and_the_factor_is_said(case):
    rest = case.result.first_passes[0]
    weak = [
        replace(one, aligned=replace(one.aligned, frames=one.aligned.frames / 1e4))
        for one in rest.slices
    ]
    result = replace(case.result, first_passes=(replace(rest, slices=tuple(weak)),), reserve=())
    made = replace(case, result=result).only("motion").encode()
    assert "signal x 1e+06" in made[0].DerivationDescription
    assert np.allclose(made[0].pixel_array / 1e6, weak[0].aligned.frames[0], atol=1e-6)


def pages(objects):
    return [one for one in objects if one.SOPClassUID == SecondaryCaptureImageStorage]


def test_pages_are_colour_and_of_one_series(objects):
    found = pages(objects)
    assert len(found) == 1 + 1 + 2 * 2 + 1  # bullseyes; table; maps and curves of both; quality
    assert len({one.SeriesInstanceUID for one in found}) == 1
    for one in found:
        assert one.pixel_array.shape == (768, 1024, 3)
        assert one.BurnedInAnnotation == "YES"


def test_research_use_is_burned_into_every_page(objects):
    for one in pages(objects):
        corner = one.pixel_array[735:765, 20:400].astype(int)
        yellow = (corner[..., 0] > 200) & (corner[..., 2] < 120)
        assert yellow.sum() > 300


def test_withheld_flow_is_not_drawn(withheld_case, objects):
    def colourful(one):
        upper = one.pixel_array[100:384, :880].astype(int)
        return np.sum(np.ptp(upper, axis=-1) > 60)

    shown = pages(objects)
    withheld = pages(withheld_case.only("pictures").encode())
    assert len(withheld) == len(shown) - 1  # no curves of rest
    assert colourful(shown[2]) > 1000
    assert colourful(withheld[2]) == 0


@pytest.mark.peer
def test_a_study_with_failures_only_says_why(case, verify):
    result = PerfusionResult(
        first_passes=(),
        failures=(FirstPassFailure(label="rest", state=State.REST, reason="No bolus was found."),),
    )
    made = replace(case, result=result).encode()
    assert [one.SOPClassUID for one in made] == [SecondaryCaptureImageStorage, BasicTextSRStorage]
    assert [verify(one) for one in made] == [[], []]
    assert "Perfusion not analysed, because: rest: No bolus was found." in words(made[1])


def test_a_wholly_withheld_study_has_the_page_that_says_why(withheld_case):
    rest = withheld_case.result.first_passes[0]
    result = replace(withheld_case.result, first_passes=(rest,), reserve=())
    made = replace(withheld_case, result=result).only("mbf-mr", "reference").encode()
    assert made[0].SeriesDescription == "Perfusion numbers withheld RESEARCH"
    reason = "rest: The input function was saturated."
    assert f"Perfusion numbers withheld, because: {reason}" in words(made[1])
    assert not [one for one in made if one.SeriesDescription.startswith("MBF")]


@pytest.mark.peer
def test_pages_as_a_document_are_valid_and_repeatable(case, verify):
    [first] = case.only("pdf").encode()
    [second] = case.only("pdf").encode()
    assert verify(first) == []
    assert first.EncapsulatedDocument == second.EncapsulatedDocument
    assert first.EncapsulatedDocument.startswith(b"%PDF-")
    assert first.EncapsulatedDocument.count(b"/Type /Page\n") + first.EncapsulatedDocument.count(
        b"/Type /Page "
    ) == len(pages(case.only("pictures").encode()))


def test_pixels_that_may_as_well_be_wall_as_not_are_tinted(case):
    first_pass = case.result.first_passes[0]

    def tinted(probability):
        """Share of the page that is as green as nothing else on it."""
        slices = tuple(
            replace(one, regions=replace(one.regions, wall_probability=probability(one.regions)))
            for one in first_pass.slices
        )
        [drawn] = map_pages(replace(first_pass, slices=slices), "1")
        red, green, blue = np.moveaxis(drawn[drawn.shape[0] // 2 :, : -drawn.shape[1] // 8], -1, 0)
        return float(((green > red + 25.0) & (green > blue + 15.0)).mean())

    assert tinted(lambda _: None) < 1e-3
    assert tinted(lambda regions: regions.myocardium.astype(float)) < 1e-3
    unsure = [tinted(lambda regions, doubt=doubt: np.where(regions.myocardium, doubt, 0.0))
              for doubt in (0.05, 0.5, 0.75, 0.95)]  # fmt: skip
    assert np.greater(unsure, 0.02).tolist() == [False, True, True, False]
