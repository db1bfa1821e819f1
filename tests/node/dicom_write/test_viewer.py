"""What a radiologist sees: a real viewer draws the right pixels with the right values.

Slow (a browser without a graphics card): it runs by `make viewer-check`, which fetches the viewer.
"""

import colorsys
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import binary_erosion

from node.dicom_write.segmentation import AHA_COLOURS
from tests.node.dicom_write.ohif import Viewer, ohif_site, open_viewer

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]
__all__ = ["ohif_site", "open_viewer"]

BELOW_THE_BANNER = 120
"""Screen rows that the viewer's own controls may cover."""


@pytest.fixture(scope="module")
def varied(case):
    """The case with a flow of its own in every segment."""
    first_passes = tuple(
        replace(
            one,
            slices=tuple(
                replace(
                    part,
                    maps=replace(
                        part.maps,
                        mbf_ml_min_g=np.where(part.sectors > 0, 0.4 + 0.28 * part.sectors, np.nan),
                    ),
                )
                for part in one.slices
            ),
        )
        for one in case.result.first_passes
    )
    kinds = ("reference", "segmentation", "parametric-map", "mbf-mr", "pictures", "report")
    return replace(case, result=replace(case.result, first_passes=first_passes)).only(*kinds)


def on_screen(image, picture, spacing_mm) -> np.ndarray:
    """Lay an image's pixels over the viewport, into which the viewer fits the whole image.

    Screen pixels beside the image get 0.
    """
    height, width = picture.shape[:2]
    rows, columns = image.shape
    scale = min(height / (rows * spacing_mm[0]), width / (columns * spacing_mm[1]))
    y, x = np.mgrid[:height, :width]
    row = np.floor((y + 0.5 - height / 2) / (scale * spacing_mm[0]) + rows / 2).astype(int)
    column = np.floor((x + 0.5 - width / 2) / (scale * spacing_mm[1]) + columns / 2).astype(int)
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    laid = np.zeros((height, width), dtype=image.dtype)
    laid[inside] = image[row[inside], column[inside]]
    return laid


def hue(colour) -> float:
    """Give the hue of a colour in degrees."""
    return 360 * colorsys.rgb_to_hsv(*(np.asarray(colour, dtype=float) / 255))[0]


def through_the_stack(viewer: Viewer, n_slices: int):
    """Yield (index of the slice, picture) for every slice."""
    seen = set()
    for step in range(n_slices):
        if step:
            viewer.scroll(1)
        picture = viewer.settle()
        index = viewer.shown_instance() - 1
        seen.add(index)
        yield index, picture
    assert seen == set(range(n_slices))


def test_segments_are_drawn_on_the_right_pixels_in_their_colours(varied, open_viewer):
    viewer = open_viewer(varied.encode())
    viewer.open_series("Reference stress RESEARCH")
    viewer.open_series("AHA segments stress RESEARCH")
    viewer.click_if_there("Yes")
    slices = varied.result.first_passes[1].slices
    for index, picture in through_the_stack(viewer, len(slices)):
        sectors = on_screen(slices[index].sectors, picture, slices[index].geometry.spacing_mm)
        drawn = np.ptp(picture, axis=-1) > 12
        drawn[:BELOW_THE_BANNER] = sectors[:BELOW_THE_BANNER] > 0
        overlap = np.sum(drawn & (sectors > 0)) / np.sum(drawn | (sectors > 0))
        print(f"slice {index}: IoU {overlap:.3f}")  # noqa: T201  `make viewer-check` shows it
        assert overlap >= 0.9
        for number in np.unique(sectors[sectors > 0]):
            inner = binary_erosion(sectors == number, iterations=6)
            seen = hue(np.median(picture[inner], axis=0))
            away = (seen - hue(AHA_COLOURS[number - 1]) + 180) % 360 - 180
            assert abs(away) < 15, f"AHA {number}"
    viewer.save("viewer-segments")


def test_grey_values_of_the_flow_map_read_back_to_flow(varied, open_viewer):
    viewer = open_viewer(varied.encode())
    viewer.open_series("MBF stress [mL/min/100g] RESEARCH")
    slices = varied.result.first_passes[1].slices
    worst = 0.0
    for index, picture in through_the_stack(viewer, len(slices)):
        sectors = on_screen(slices[index].sectors, picture, slices[index].geometry.spacing_mm)
        for number in np.unique(sectors[sectors > 0]):
            inner = binary_erosion(sectors == number, iterations=12)
            flow = np.median(picture[inner]) / 255 * 5.0  # the window is 0 to 5 mL/min/g
            worst = max(worst, abs(flow - (0.4 + 0.28 * number)))
    print(f"worst error {worst:.3f} mL/min/g")  # noqa: T201  `make viewer-check` shows it
    assert worst < 0.05
    viewer.save("viewer-flow")


def test_pages_are_shown_as_they_were_drawn(varied, open_viewer):
    objects = varied.only("pictures").encode()
    viewer = open_viewer(objects)
    viewer.open_series("Perfusion pictures RESEARCH")
    picture = viewer.settle()
    page = objects[viewer.shown_instance() - 1].pixel_array
    laid = np.stack([on_screen(page[..., one], picture, (1.0, 1.0)) for one in range(3)], axis=-1)
    middle = (slice(BELOW_THE_BANNER, -60), slice(picture.shape[1] // 4, -picture.shape[1] // 4))
    difference = np.abs(picture[middle] - laid[middle]).mean()
    print(f"mean difference {difference:.1f} of 255")  # noqa: T201
    assert difference < 10
    assert laid[middle].std() > 30
    viewer.save("viewer-pages")
