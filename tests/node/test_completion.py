"""When a study is complete: a table of what has arrived and what the clock says."""

import pytest

from node.completion import judge, what_is_missing
from node.config import Completion
from node.index.holdings import SeriesArrivals, StudyArrivals

SETTINGS = Completion(series_quiet_s=30.0, study_quiet_s=10.0)


def study(*series: tuple[int, int | None, float]) -> StudyArrivals:
    """Make a study of series of (received, expected, last arrival in seconds)."""
    rows = tuple(
        SeriesArrivals(
            series_uid=f"1.2.{number}",
            modality="MR",
            received=received,
            expected_images=expected,
            last_s=last_s,
        )
        for number, (received, expected, last_s) in enumerate(series)
    )
    last_s = max(row.last_s for row in rows)
    return StudyArrivals(
        study_uid="1.2", revision=1, frozen=0, first_s=0.0, last_s=last_s, series=rows
    )


@pytest.mark.parametrize(
    ("arrivals", "now_s", "complete"),
    [
        (study((60, 60, 100.0)), 105.0, False),  # all there, but the study is not yet quiet
        (study((60, 60, 100.0)), 110.0, True),  # all there: the header spares the long silence
        (study((59, 60, 100.0)), 129.9, False),  # one is missing: wait for it
        (study((59, 60, 100.0)), 130.0, True),  # it does not come: silence decides
        (study((61, 60, 100.0)), 110.0, False),  # the header counts something else
        (study((61, 60, 100.0)), 130.0, True),
        (study((60, None, 100.0)), 110.0, False),  # the header says nothing
        (study((60, None, 100.0)), 130.0, True),
        (study((60, 60, 50.0), (3, 60, 100.0)), 115.0, False),  # the second is on its way
        (study((60, 60, 50.0), (60, 60, 100.0)), 110.0, True),
        (study((60, 60, 100.0)), 20.0, False),  # a clock that runs behind the arrivals
    ],
)
def test_a_study_is_complete_by_its_headers_or_by_silence(arrivals, now_s, complete):
    assert judge(arrivals, now_s, SETTINGS).complete is complete


WHOLE = study((160, 160, 99.0), (160, 160, 100.0))


@pytest.mark.parametrize(
    ("arrivals", "now_s", "complete"),
    [
        (WHOLE, 100.0, True),  # proven: nobody waits
        (study((160, 160, 50.0), (159, 160, 100.0)), 101.0, False),  # one is missing
        (study((160, 160, 50.0), (159, 160, 60.0), (9, 9, 100.0)), 101.0, False),  # for ever
        (study((160, 160, 99.0), (160, 160, 99.0), (7, None, 100.0)), 101.0, False),  # on its way
        (study((160, 160, 50.0), (160, 160, 99.0), (7, None, 60.0)), 99.5, True),
    ],
)
def test_a_study_whose_headers_prove_rest_and_stress_is_complete_at_once(arrivals, now_s, complete):
    assert judge(arrivals, now_s, SETTINGS, lambda _: True).complete is complete
    assert not judge(arrivals, now_s, SETTINGS, lambda _: False).complete


def test_by_default_nothing_but_such_a_proof_shortens_the_silence():
    assert not judge(WHOLE, 109.0, SETTINGS).complete
    patient = Completion(series_quiet_s=30.0, study_quiet_s=10.0, early=False)
    assert not judge(WHOLE, 109.0, patient, lambda _: True).complete


def test_a_study_that_waits_says_for_what_and_how_long():
    verdict = judge(study((60, 60, 95.0), (40, 60, 100.0)), 104.0, SETTINGS)
    assert verdict.waiting_for == (
        "series 2 of 2: 40 of 60 images",
        "the study to be quiet for 10 s",
    )
    assert verdict.look_again_s == 26.0


@pytest.mark.parametrize("series", [(60, 60, 100.0), (40, 60, 100.0), (7, None, 100.0)])
def test_a_study_is_complete_when_asked_again_as_late_as_told(series):
    arrivals = study(series)
    first = judge(arrivals, 100.0, SETTINGS)
    assert first.look_again_s is not None
    again = judge(arrivals, 100.0 + first.look_again_s, SETTINGS)
    assert again.complete
    assert again.look_again_s is None


def test_what_never_came_is_named():
    assert judge(study((40, 60, 100.0)), 200.0, SETTINGS).missing == (
        "series 1 of 1: 40 of 60 images",
    )
    assert judge(study((60, 60, 100.0)), 200.0, SETTINGS).missing == ()


def first_pass(state, *codes):
    return {"state": state, "findings": [{"code": code} for code in codes]}


@pytest.mark.parametrize(
    ("first_passes", "missing"),
    [
        ([], None),  # another kind of study
        ([first_pass("stress")], "the other first pass"),
        ([first_pass("undetermined")], "the other first pass"),
        ([first_pass("rest"), first_pass("stress")], None),
        ([first_pass("undetermined"), first_pass("undetermined")], None),
        ([first_pass("rest"), first_pass("rest")], "a first pass in another state than rest"),
        (
            [first_pass("rest"), first_pass("stress", "input-function-saturated")],
            "a series for the input function",
        ),
    ],
)
def test_what_an_analysis_lacked_is_told_by_its_answer(first_passes, missing):
    assert what_is_missing(first_passes) == missing
