import numpy as np
import pytest

from pipeline.phantom.heart import contours, draw_heart
from pipeline.phantom.tables import angles, rounder


def test_a_slit_becomes_as_round_as_was_asked():
    slit = 20.0 + 8.0 * np.cos(2 * angles())
    found = rounder(slit, 0.12)
    assert found.mean() == pytest.approx(20.0)
    assert found.std() == pytest.approx(0.12 * 20.0)
    assert np.corrcoef(found, slit)[0, 1] == pytest.approx(1.0)


def test_a_round_curve_stays_as_it_is():
    nearly = 20.0 + 1.0 * np.cos(3 * angles())
    np.testing.assert_array_equal(rounder(nearly, 0.12), nearly)


def test_where_a_curve_lies_is_not_its_shape():
    aside = 20.0 + 8.0 * np.cos(angles())
    np.testing.assert_array_equal(rounder(aside, 0.05), aside)


@pytest.mark.parametrize("depth", [0.2, 0.45, 0.7])
def test_cavities_are_about_as_round_as_people_draw_them(depth):
    """Theirs have axes of 1.13 to 1 in the median, and 1.32 in one of twenty, 1.4 at mid level."""
    ratios = []
    for seed in range(200):
        heart = draw_heart(np.random.default_rng(seed))
        ratios.append(_axis_ratio(contours(heart, depth * heart.length_mm).endocardium))
    assert 1.1 < np.median(ratios) < 1.2
    assert np.percentile(ratios, 95) < 1.4


def _axis_ratio(radius):
    """Of the second moments of the area within a closed curve about its point of reference."""
    edge = np.stack([np.cos(angles()), np.sin(angles())])
    area = (radius**2).sum() / 2
    middle = (radius**3 * edge).sum(axis=1) / 3 / area
    spread = (radius**4 * edge[:, None] * edge[None]).sum(axis=2) / 4 / area
    low, high = np.linalg.eigvalsh(spread - np.outer(middle, middle))
    return np.sqrt(high / low)
