"""Pages show what they say; the geometry of the bullseye is that of the AHA."""

import matplotlib as mpl
import numpy as np
import pytest

from node.pictures import text_pages
from node.pictures.bullseye import wedge
from node.pictures.maps import side_of_patient


def middle(segment) -> np.ndarray:
    """Centre of a bullseye segment: (right, up)."""
    start, extent, inner = wedge(segment)
    angle = np.radians(start + extent / 2)
    return (inner + 0.5) * np.array([np.cos(angle), np.sin(angle)])


@pytest.mark.parametrize("anterior", [1, 7, 13])
def test_anterior_segments_are_up(anterior):
    assert np.argmax([middle(n)[1] for n in range(1, 17) if wedge(n)[2] == wedge(anterior)[2]]) == 0


@pytest.mark.parametrize("septal", [2, 3, 8, 9, 14])
def test_septal_segments_are_to_the_left(septal):
    assert middle(septal)[0] < 0


@pytest.mark.parametrize("lateral", [5, 6, 11, 12, 16])
def test_lateral_segments_are_to_the_right(lateral):
    assert middle(lateral)[0] > 0


def test_basal_ring_is_outside_and_the_apex_inside():
    assert [wedge(n)[2] for n in (1, 7, 13)] == [3.0, 2.0, 1.0]


def test_segments_fill_each_ring_once():
    for numbers in (range(1, 7), range(7, 13), range(13, 17)):
        starts = sorted(wedge(n)[0] % 360 for n in numbers)
        assert np.allclose(np.diff([*starts, starts[0] + 360]), 360 / len(numbers))


@pytest.mark.parametrize(
    ("direction", "side"),
    [
        ((1, 0, 0), "L"),
        ((0, -1, 0), "A"),
        ((0, 0, -1), "F"),
        ((-0.7, 0.6, 0.2), "RP"),
        ((0.2, 0.5, 0.84), "HP"),
    ],
)
def test_sides_of_the_patient_are_named_as_in_dicom(direction, side):
    assert side_of_patient(np.array(direction)) == side


def test_long_texts_go_on_over_pages_and_nothing_is_lost():
    sentences = [f"sentence {number}" for number in range(100)]
    pages = text_pages("Quality", [("Notes", sentences)], "1")
    assert len(pages) == 3
    assert all(page.shape == (768, 1024, 3) for page in pages)


def test_no_heading_is_left_alone_at_the_foot_of_a_page():
    for count in range(36, 44):  # sentences before the second heading
        sections = [("First", ["one"] * count), ("Second", ["two"])]
        first = text_pages("Quality", sections, "1")[0]
        foot = first[697:712, :150].astype(int)
        yellow = (foot[..., 0] > 200) & (foot[..., 2] < 120)
        assert yellow.sum() == 0


def test_dollar_signs_are_text_and_no_formula():
    [page] = text_pages("Quality", [("Notes", ["series 'A$b_c$' and $\\frac"])], "1")
    assert page.std() > 0


def test_a_page_looks_the_same_whatever_the_machine_has_set():
    plain = text_pages("Quality", [("Notes", ["one"])], "1")[0]
    with mpl.rc_context({"font.size": 30, "savefig.dpi": 20, "text.color": "red"}):
        assert np.array_equal(plain, text_pages("Quality", [("Notes", ["one"])], "1")[0])
