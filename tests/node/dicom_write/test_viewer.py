"""What a radiologist sees: a real viewer draws the right pixels with the right values.

Slow (a browser without a graphics card): it runs by `make viewer-check`, which fetches the viewer.
"""

import colorsys

import numpy as np
import pytest
from pydicom.uid import SecondaryCaptureImageStorage
from scipy.ndimage import binary_erosion, map_coordinates

from node.config import Analysis, Results
from node.dicom_phantom import study_datasets
from node.dicom_read import read_study
from node.dicom_write import encode_results
from node.dicom_write.segmentation import AHA_COLOURS
from pipeline.phantom import PhantomSettings, simulate
from pipeline.study import State
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
    result = true_result(read.study, phantom)
    kinds = ("reference", "segmentation", "parametric-map", "mbf-mr", "pictures", "report")
    objects = encode_results(result, read, Results(objects=kinds), version="0", settings="none")
    return result, objects


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
        seen, covered = at_pixel_centres(picture, one.sectors.shape, one.geometry.spacing_mm)
        assert not np.any(covered & (one.sectors > 0))
        drawn = (np.ptp(seen, axis=-1) > 12) & ~covered
        overlap = np.sum(drawn & (one.sectors > 0)) / np.sum(drawn | (one.sectors > 0))
        print(f"slice {index}: IoU {overlap:.3f}")  # noqa: T201  `make viewer-check` shows it
        assert overlap >= 0.9
        for number in np.unique(one.sectors[one.sectors > 0]):
            shown = hue(np.median(seen[one.sectors == number], axis=0))
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
