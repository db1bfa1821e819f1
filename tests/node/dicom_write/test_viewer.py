"""What a radiologist sees: a real viewer draws the right pixels with the right values.

Slow (a browser without a graphics card): it runs by `make viewer-check`, which fetches the viewer.
"""

import colorsys
import time
from dataclasses import replace

import numpy as np
import pytest
from pydicom.uid import SecondaryCaptureImageStorage
from scipy.ndimage import binary_erosion, gaussian_filter, map_coordinates

from node.config import Analysis, Results
from node.dicom_phantom import study_datasets
from node.dicom_read import read_study
from node.dicom_write import encode_results
from node.dicom_write.segmentation import AHA_COLOURS
from pipeline.phantom import PhantomSettings, simulate
from pipeline.study import State
from tests.node.dicom_write.cases import drawn_sectors
from tests.node.dicom_write.ohif import Viewer, ohif_site, open_viewer
from tests.node.dicom_write.truth import true_result

pytestmark = [pytest.mark.peer, pytest.mark.timeout(600)]
__all__ = ["ohif_site", "open_viewer"]

BELOW_THE_BANNER = 120
"""Screen rows that the viewer's own controls may cover."""


@pytest.fixture(scope="module")
def phantom_case(tmp_path_factory):
    """A simulated study: (its result as it truly is, the objects made of it)."""
    phantom = simulate(8, PhantomSettings(n_frames=30, matrix=112))
    folder = tmp_path_factory.mktemp("phantom")
    for number, dataset in enumerate(study_datasets(phantom, "siemens")):
        dataset.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    read = read_study(sorted(folder.iterdir()), Analysis())
    result = with_soft_walls(true_result(read.study, phantom))
    kinds = ("reference", "segmentation", "parametric-map", "mbf-mr", "pictures", "report")
    objects = encode_results(result, read, Results(objects=kinds), version="0", settings="none")
    return result, objects


def with_soft_walls(result):
    """The same result, unsure of the wall's edges."""

    def unsure(one):
        probability = gaussian_filter(one.regions.myocardium.astype(float), 0.7)
        return replace(one, regions=replace(one.regions, wall_probability=probability))

    passes = [replace(one, slices=tuple(map(unsure, one.slices))) for one in result.first_passes]
    return replace(result, first_passes=tuple(passes))


@pytest.fixture(scope="module")
def stress_slices(phantom_case):
    """The slices of stress."""
    [stress] = [one for one in phantom_case[0].first_passes if one.state is State.STRESS]
    return stress.slices


def at_pixel_centres(picture, shape, spacing_mm) -> tuple[np.ndarray, np.ndarray]:
    """Read the viewport, into which the viewer fits the whole image, at the pixels' centres.

    Returns what is seen [row, column, colour] and which pixels the viewer's own controls may cover.
    """
    height, width = picture.shape[:2]
    rows, columns = shape
    scale = min(height / (rows * spacing_mm[0]), width / (columns * spacing_mm[1]))
    row, column = np.mgrid[:rows, :columns]
    y = height / 2 + (row + 0.5 - rows / 2) * spacing_mm[0] * scale - 0.5
    x = width / 2 + (column + 0.5 - columns / 2) * spacing_mm[1] * scale - 0.5
    seen = [map_coordinates(picture[..., one], (y, x), order=1, mode="nearest") for one in range(3)]
    return np.stack(seen, axis=-1), y < BELOW_THE_BANNER


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


def test_segments_are_drawn_on_the_right_pixels_in_their_colours(
    phantom_case, stress_slices, open_viewer
):
    viewer = open_viewer(phantom_case[1])
    viewer.open_series("Reference stress RESEARCH")
    viewer.open_series("AHA segments stress RESEARCH")
    viewer.click_if_there("Yes")
    for index, picture in through_the_stack(viewer, len(stress_slices)):
        one = stress_slices[index]
        sectors = drawn_sectors(one)
        seen, covered = at_pixel_centres(picture, sectors.shape, one.geometry.spacing_mm)
        assert not np.any(covered & (sectors > 0))
        drawn = (np.ptp(seen, axis=-1) > 12) & ~covered
        overlap = np.sum(drawn & (sectors > 0)) / np.sum(drawn | (sectors > 0))
        print(f"slice {index}: IoU {overlap:.3f}")  # noqa: T201  `make viewer-check` shows it
        assert overlap >= 0.9
        for number in np.unique(sectors[sectors > 0]):
            shown = hue(np.median(seen[sectors == number], axis=0))
            away = (shown - hue(AHA_COLOURS[number - 1]) + 180) % 360 - 180
            assert abs(away) < 15, f"AHA {number}"
    viewer.save("viewer-segments")


def test_grey_values_of_the_flow_map_read_back_to_flow(phantom_case, stress_slices, open_viewer):
    viewer = open_viewer(phantom_case[1])
    viewer.open_series("MBF stress [mL/min/100g] RESEARCH")
    worst, segments_seen = 0.0, set()
    for index, picture in through_the_stack(viewer, len(stress_slices)):
        one = stress_slices[index]
        seen, _ = at_pixel_centres(picture, one.sectors.shape, one.geometry.spacing_mm)
        flow = seen.mean(axis=-1) / 255 * 5.0  # the window is 0 to 5 mL/min/g
        error = np.abs(flow - np.minimum(one.maps.mbf_ml_min_g, 5.0))
        # The viewer interpolates: pixels at the border of the wall are mixed with the 0 beside it.
        inside = binary_erosion(one.sectors > 0)
        for number in np.unique(one.sectors[inside]):
            worst = max(worst, float(error[inside & (one.sectors == number)].mean()))
            segments_seen.add(int(number))
    print(f"worst error {worst:.3f} mL/min/g")  # noqa: T201  `make viewer-check` shows it
    assert worst < 0.05
    assert segments_seen == set(range(1, 17))
    viewer.save("viewer-flow")


def test_the_probability_of_the_wall_is_drawn_in_colours_that_follow_it(
    phantom_case, stress_slices, open_viewer
):
    viewer = open_viewer(phantom_case[1])
    viewer.open_series("Reference stress RESEARCH")
    viewer.open_series("LV wall stress [probability] RESEARCH")
    viewer.click_if_there("Yes")
    wait_for_colour(viewer)
    viewer.save("viewer-wall")
    shown = set()
    for steps in (0, 1, -1, -1):  # it opens in the middle
        viewer.scroll(steps)
        viewer.page.wait_for_timeout(6000)  # the overlay follows the image
        picture = viewer.settle()
        # With an overlay of this kind the viewer writes another slice's number: go by the shape.
        index, seen, overlap = max(
            (drawn_as(picture, one, number) for number, one in enumerate(stress_slices)),
            key=lambda found: found[-1],
        )
        probability = stress_slices[index].regions.wall_probability
        hues = [hue(np.median(seen[(probability > low) & (probability < high)], axis=0))
                for low, high in ((0.2, 0.4), (0.55, 0.75), (0.95, 1.1))]  # fmt: skip
        print(f"slice {index}: IoU {overlap:.2f}, hues {np.round(hues)}")  # noqa: T201  `make viewer-check` shows it
        assert overlap > 0.85
        assert hues == sorted(hues, reverse=True)  # from blue by green to red
        assert hues[0] - hues[-1] > 90
        shown.add(index)
    assert shown == set(range(len(stress_slices)))


def drawn_as(picture, one, number: int):
    """Compare what is coloured with the wall of a slice: its number, what is seen, the overlap."""
    seen, covered = at_pixel_centres(picture, one.sectors.shape, one.geometry.spacing_mm)
    coloured = (np.ptp(seen, axis=-1) > 60) & ~covered
    wall = one.regions.wall_probability > 0.15
    return number, seen, np.sum(coloured & wall) / np.sum(coloured | wall)


def wait_for_colour(viewer: Viewer, timeout_s: float = 60.0) -> None:
    """Wait for an overlay, which comes after the image that it lies on."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and not (np.ptp(viewer.picture(), axis=-1) > 100).any():
        viewer.page.wait_for_timeout(500)


def test_pages_are_shown_as_they_were_drawn(phantom_case, open_viewer):
    objects = [one for one in phantom_case[1] if one.SOPClassUID == SecondaryCaptureImageStorage]
    viewer = open_viewer(objects)
    viewer.open_series("Perfusion pictures RESEARCH")
    picture = viewer.settle()
    page = objects[viewer.shown_instance() - 1].pixel_array
    seen, covered = at_pixel_centres(picture, page.shape[:2], (1.0, 1.0))
    middle = ~covered & (np.abs(np.arange(page.shape[1]) - page.shape[1] / 2) < page.shape[1] / 3)
    difference = np.abs(seen - page)[middle].mean()
    print(f"mean difference {difference:.1f} of 255")  # noqa: T201
    assert difference < 10
    assert page[middle].std() > 30
    viewer.save("viewer-pages")
