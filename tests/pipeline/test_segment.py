from dataclasses import replace

import numpy as np
import pydicom
import pytest
from scipy import ndimage
from scipy.io import loadmat

from pipeline.errors import NoMyocardiumError
from pipeline.heart import Heart, find_heart
from pipeline.segment import segment
from tests.short_axis import SPACING_MM, dice, draw


def outlined(frames, time_s, spacing_mm, network):
    return segment(
        frames, time_s, find_heart(frames, time_s, spacing_mm, network), spacing_mm, network
    )


@pytest.mark.parametrize("rotation_deg", [0, 70, 180])
def test_the_wall_and_both_pools_are_outlined(rotation_deg, network):
    drawn = draw(rotation_deg=rotation_deg)
    found = outlined(drawn.frames, drawn.time_s, SPACING_MM, network)
    assert dice(found.myocardium, drawn.myocardium) > 0.8
    assert dice(found.lv_pool, drawn.lv_pool) > 0.88
    assert dice(found.rv_pool, drawn.rv_pool) > 0.9


def test_the_regions_are_disjoint_and_the_wall_is_one_closed_ring(network):
    drawn = draw(noise=0.03)
    found = outlined(drawn.frames, drawn.time_s, SPACING_MM, network)
    assert not (found.myocardium & found.lv_pool).any()
    assert not ((found.myocardium | found.lv_pool) & found.rv_pool).any()
    assert ndimage.label(found.myocardium)[1] == 1
    enclosed = ndimage.binary_fill_holes(found.myocardium) & ~found.myocardium
    assert (enclosed == found.lv_pool).all()


def test_noise_and_blur_lower_the_overlap_that_is_predicted(network):
    drawn = draw()
    clear = outlined(drawn.frames, drawn.time_s, SPACING_MM, network)
    blurred = ndimage.gaussian_filter(drawn.frames, (0, 2.5, 2.5))
    noise = np.random.default_rng(2).normal(0, 0.1, blurred.shape)
    poor = outlined(np.abs(blurred + noise), drawn.time_s, SPACING_MM, network)
    assert 0 < poor.predicted_dice < clear.predicted_dice <= 1
    assert 0 < poor.predicted_pool_dice < clear.predicted_pool_dice <= 1


def test_the_probability_of_the_wall_is_high_on_it_and_low_off_it(network):
    drawn = draw()
    found = outlined(drawn.frames, drawn.time_s, SPACING_MM, network)
    assert found.wall_probability.min() >= 0
    assert found.wall_probability.max() <= 1
    assert found.wall_probability[ndimage.binary_erosion(drawn.myocardium)].min() > 0.5
    assert found.wall_probability[~ndimage.binary_dilation(drawn.myocardium)].max() < 0.5


def test_vendor_scaling_and_coil_shading_hardly_matter(network):
    drawn = draw()
    shading = np.linspace(1.4, 0.7, 128)[None, None, :]
    plain = outlined(drawn.frames, drawn.time_s, SPACING_MM, network)
    shaded = outlined(drawn.frames * shading * 300, drawn.time_s, SPACING_MM, network)
    assert dice(plain.myocardium, shaded.myocardium) > 0.93


def test_the_papillary_muscle_belongs_to_the_pool(network):
    drawn = draw()
    found = outlined(drawn.frames, drawn.time_s, SPACING_MM, network)
    assert not ndimage.binary_fill_holes(found.lv_pool)[~found.lv_pool].any()


def test_where_there_is_no_heart_there_is_no_myocardium(network):
    uniform = np.full((30, 64, 64), 100.0)
    nowhere = Heart(peak_frame=10, centre=(32.0, 32.0), labels=np.zeros((64, 64), dtype=int))
    with pytest.raises(NoMyocardiumError):
        segment(uniform, np.arange(30.0), nowhere, SPACING_MM, network)


def test_a_rough_centre_is_found_again_once_the_frames_stand_still(network):
    drawn = draw()
    heart = find_heart(drawn.frames, drawn.time_s, SPACING_MM, network)
    right = segment(drawn.frames, drawn.time_s, heart, SPACING_MM, network)
    row, column = heart.centre
    off = replace(heart, centre=(row + 6, column - 6))
    found = segment(drawn.frames, drawn.time_s, off, SPACING_MM, network)
    assert dice(found.myocardium, right.myocardium) > 0.97


@pytest.mark.shared_data
def test_a_real_series_is_found_and_outlined_as_an_expert_does(shared_data, network):
    folder = shared_data / "ge-first-pass"
    images = sorted(
        (pydicom.dcmread(path) for path in folder.glob("I*")),
        key=lambda image: image.InstanceNumber,
    )
    frames = np.stack([image.pixel_array for image in images]).astype(np.float32)
    time_s = np.array([float(image.TriggerTime) for image in images]) / 1000
    spacing_mm = tuple(float(value) for value in images[0].PixelSpacing)
    expert = {
        name: loadmat(folder / "GoldStandard.mat")[name] > 0 for name in ("MyoMask", "SXmask")
    }
    brightest = int(frames[:30, expert["SXmask"]].mean(axis=1).argmax())
    heart = find_heart(frames, time_s, spacing_mm, network)
    assert abs(heart.peak_frame - brightest) <= 1
    found = segment(frames, time_s, heart, spacing_mm, network)
    assert dice(found.myocardium, expert["MyoMask"]) > 0.68
    assert dice(found.lv_pool, expert["SXmask"]) > 0.88


@pytest.mark.shared_data
def test_no_real_series_is_left_out_however_closed_its_cavity(shared_data, network):
    for path in sorted((shared_data / "real-segmentation-dev").glob("*.npz")):
        with np.load(path) as content:
            frames, labels = content["frames"].astype(np.float32), content["labels"]
        found = outlined(frames, np.arange(float(len(frames))), (1.15, 1.15), network)
        assert dice(found.myocardium, labels == 1) > 0.6, path.name
