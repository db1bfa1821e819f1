import pytest
from pydicom import Dataset

from node.config import Analysis
from node.dicom_read import read_study
from node.dicom_read.header import Header
from node.dicom_read.states import Evidence, decide_states
from pipeline.study import State
from tests.node.instances import Series, write

REST, STRESS, OPEN = State.REST, State.STRESS, State.UNDETERMINED


def evidence(description="", *, rate=None, start_s=None, **values):
    dataset = Dataset()
    dataset.SeriesDescription = description
    dataset.StudyDate = "20240131"
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return Evidence(headers=(Header(dataset),), heart_rate_bpm=rate, start_s=start_s)


def states(*passes, **config):
    return [decision.state for decision in decide_states(passes, Analysis(**config))]


@pytest.mark.parametrize(
    ("description", "state"),
    [
        ("Perf_STRESS_tfl", STRESS),
        ("perfRest", REST),
        ("stress2", STRESS),
        ("ADENOSINE 140", STRESS),
        ("perf adeno", STRESS),
        ("Regadenoson FP", STRESS),
        ("dobutamine", STRESS),
        ("Perfusion unter Belastung", STRESS),
        ("Perfusion in Ruhe", REST),
        ("perfusion de repos", REST),
        ("perfusion d'effort", STRESS),
        ("Perfusión en estrés", STRESS),
        ("reposo", REST),
        ("sforzo", STRESS),
        ("perfusione riposo", REST),
        ("perfusie inspanning", STRESS),
        ("perfusie rust", REST),
        ("hvile", REST),
        ("obciążenie", STRESS),
        ("spoczynek", REST),
        ("zátěž", STRESS),
        ("нагрузка", STRESS),
        ("в покое", REST),
        ("心肌灌注 静息", REST),
        ("負荷パーフュージョン", STRESS),
        ("安静時", REST),
        ("prestige forest arrest", OPEN),
        ("stress rest perfusion", OPEN),
        ("post stress", OPEN),
        ("perf basal", OPEN),
        ("first pass", OPEN),
    ],
)
def test_words_decide_in_many_languages(description, state):
    assert states(evidence(description)) == [state]


def test_the_reason_quotes_the_word_and_nothing_else_of_the_description():
    (decision,) = decide_states([evidence("Mustermann Stress Dr Meier")], Analysis())

    assert decision.reason == "SeriesDescription says 'stress'"


def test_configured_patterns_decide_too():
    config = {"stress_words": (r"run\s*2",), "rest_words": (r"run\s*1",)}

    assert states(evidence("RUN 1"), evidence("RUN 2"), **config) == [REST, STRESS]


def test_the_protocol_decides_where_the_description_is_silent():
    assert states(evidence("perf", ProtocolName="perf_rest")) == [REST]


def test_series_of_one_first_pass_that_contradict_each_other_decide_nothing():
    one, other = evidence("rest"), evidence("stress")
    both = Evidence(headers=one.headers + other.headers, heart_rate_bpm=None, start_s=None)

    (decision,) = decide_states([both], Analysis())

    assert decision.state is OPEN
    assert "'rest'" in decision.reason
    assert "'stress'" in decision.reason


def test_of_two_first_passes_the_silent_one_is_what_the_other_is_not():
    assert states(evidence("stress", rate=90), evidence("", rate=62)) == [STRESS, REST]
    assert states(evidence("", rate=90), evidence("rest", rate=62)) == [STRESS, REST]


def test_a_heart_rate_that_contradicts_leaves_the_silent_one_open():
    assert states(evidence("stress", rate=60), evidence("", rate=85)) == [STRESS, OPEN]
    assert states(evidence("rest", rate=85), evidence("", rate=60)) == [REST, OPEN]


def test_clearly_different_heart_rates_decide_where_words_are_silent():
    decisions = decide_states([evidence(rate=92), evidence(rate=64)], Analysis())

    assert [decision.state for decision in decisions] == [STRESS, REST]
    assert "92 and 64 /min" in decisions[0].reason
    assert "first one" in decisions[0].reason


@pytest.mark.parametrize(("one", "other"), [(70, 75), (None, 90), (None, None), (104, 112)])
def test_similar_or_unknown_heart_rates_decide_nothing(one, other):
    decisions = decide_states([evidence(rate=one), evidence(rate=other)], Analysis())

    assert [decision.state for decision in decisions] == [OPEN, OPEN]
    assert "heart rates do not tell" in decisions[0].reason


def test_heart_rates_decide_nothing_among_three_first_passes():
    assert states(*(evidence(rate=rate) for rate in (60, 90, 61))) == [OPEN] * 3


def test_basal_means_rest_only_of_one_of_two_and_never_beside_other_levels():
    assert states(evidence("perf basal"), evidence("perf 2")) == [REST, STRESS]
    assert states(evidence("perf basal"), evidence("perf mid")) == [OPEN, OPEN]
    assert states(evidence("perf basal"), evidence("perf basal 2")) == [OPEN, OPEN]


def coded(value):
    code = Dataset()
    code.CodeValue = value
    item = Dataset()
    item.ConceptCodeSequence = [code]
    return {"AcquisitionContextSequence": [item]}


def test_the_coded_patient_state_decides():
    assert states(evidence(**coded("432655005"))) == [STRESS]
    assert states(evidence(**coded("128975004"))) == [REST]


def drug(name, start="100000"):
    item = Dataset()
    item.InterventionDrugName = name
    item.InterventionDrugStartTime = start
    return {"InterventionDrugInformationSequence": [item]}


def test_a_drug_given_before_the_images_means_stress():
    from node.dicom_read.clock import clock_seconds

    during = clock_seconds("20240131", "100400")
    before = clock_seconds("20240131", "095500")
    long_after = clock_seconds("20240131", "103000")
    assert states(evidence(start_s=during, **drug("Adenosine"))) == [STRESS]
    assert states(evidence(start_s=before, **drug("Adenosine"))) == [OPEN]
    assert states(evidence(start_s=long_after, **drug("Adenosine"))) == [OPEN]
    assert states(evidence(start_s=during, **drug("Metoprolol"))) == [OPEN]


def test_open_states_are_named_by_number_and_repeated_ones_counted(tmp_path):
    datasets = [
        dataset
        for number, description in enumerate(["perf", "perf stress", "perf", "perf stress"])
        for dataset in Series(
            number=number + 1, slices=1, description=description, start_s=36000 + 600 * number
        ).datasets()
    ]

    read = read_study(write(datasets, tmp_path), Analysis())

    labels = [first_pass.label for first_pass in read.study.first_passes]
    assert labels == ["perfusion 1", "stress", "perfusion 3", "stress 2"]
