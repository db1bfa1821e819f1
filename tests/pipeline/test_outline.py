import numpy as np

from pipeline.outline import same_beats

BEATS_S = np.arange(40) * 0.9


def test_slices_within_a_beat_show_the_same_beats():
    assert same_beats([BEATS_S, BEATS_S + 0.3, BEATS_S + 0.6])


def test_a_slice_that_lost_another_frame_than_the_others_shows_other_beats():
    first, second = np.delete(BEATS_S, 3), np.delete(BEATS_S, 20)
    assert not same_beats([first, second + 0.3])


def test_one_slice_alone_shows_its_own_beats():
    assert same_beats([BEATS_S])
