"""Rest or stress, by what the headers say; never by guess."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from node.config import Analysis
from node.dicom_read.clock import clock_seconds
from node.dicom_read.header import Header
from node.dicom_read.words import find_word, plain
from pipeline.study import State

_STRESS_WORDS = (
    r"stress|adeno\w*|regadenos\w*|rapiscan|lexiscan|dobu\w*|dipyridamol\w*|persantin\w*",
    r"atp|vasodilat\w*|hypera?emi\w*",
    r"belast\w*",  # German, Danish, Norwegian, Swedish
    r"effort",  # French
    r"esfuerzo|estres\w*|esforco",  # Spanish, Portuguese
    r"sforzo",  # Italian
    r"inspanning",  # Dutch
    r"rasitus",  # Finnish
    r"obciazeni\w*",  # Polish
    r"zatez\w*",  # Czech
    r"terhel\w*",  # Hungarian
    r"нагруз\w*|стресс",  # Russian
)

_REST_WORDS = (
    r"rest|resting",
    r"ruhe",  # German
    r"repos|reposo|repouso",  # French, Spanish, Portuguese
    r"riposo",  # Italian
    r"rust",  # Dutch
    r"hvile",  # Danish, Norwegian
    r"vila",  # Swedish
    r"lepo",  # Finnish
    r"spoczyn\w*",  # Polish
    r"klid\w*",  # Czech
    r"nyugal\w*",  # Hungarian
    r"поко\w*",  # Russian
)
_STRESS = "|".join(_STRESS_WORDS)
_REST = "|".join(_REST_WORDS)
_STRESS_SIGNS = ("负荷", "負荷")
"""Chinese and Japanese, which are written without spaces."""
_REST_SIGNS = ("静息", "安静")
_REST_OR_LEVEL = r"basal\w*|basis"
"""Rest in some languages, the level of a slice in others."""
_LEVELS = r"mid\w*|medi\w*|ap(?:ex|ical\w*)|mittel\w*"
_AFTER = r"post|after|nach|apres|dopo|despues"

_KEYWORDS = ("SeriesDescription", "ProtocolName", "ImageComments")
_STRESS_CODES = frozenset({"432655005", "108502004", "109091", "128976003", "F-01606"})
"""Stress, adenosine (SCT), cardiac stress state (DCM), exercise state (SCT, SRT)."""
_REST_CODES = frozenset({"128975004", "F-01604"})
"""Resting state (SCT, SRT)."""
_HIGHER_RATE_BPM = 10.0
_HIGHER_RATE_RATIO = 1.1
_LONGEST_DRUG_EFFECT_S = 15 * 60.0


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What the headers of one first pass tell about its state."""

    headers: tuple[Header, ...]
    """One of each series."""
    heart_rate_bpm: float | None
    start_s: float | None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A state and why."""

    state: State
    reason: str


_Undecided = Decision(state=State.UNDETERMINED, reason="")


def decide_states(passes: Sequence[Evidence], config: Analysis) -> list[Decision]:
    """Decide the state of all first passes of a study, in their order.

    Words and codes decide each one alone; where they are silent on one of two, the other one or
    the heart rates decide; else the state stays undetermined.
    """
    words = [_words(evidence, config) for evidence in passes]
    decisions = [
        decision or _intervention(evidence) or _Undecided
        for decision, evidence in zip(words, passes, strict=True)
    ]
    if len(passes) == 2:
        decisions = _decide_pair(decisions, passes)
    return [decision if decision.reason else _silent(len(passes)) for decision in decisions]


def _silent(count: int) -> Decision:
    reason = "nothing in the headers says rest or stress"
    if count == 2:
        reason += ", and the heart rates do not tell"
    return Decision(state=State.UNDETERMINED, reason=reason)


def _words(evidence: Evidence, config: Analysis) -> Decision | None:
    """Decide by words in the descriptions; contradicting words leave it undetermined."""
    found = [word for header in evidence.headers if (word := _words_of(header, config))]
    states = {decision.state for decision in found}
    if len(states) > 1:
        reasons = " but ".join(sorted({decision.reason for decision in found}))
        return Decision(state=State.UNDETERMINED, reason=reasons)
    return found[0] if found else None


def _words_of(header: Header, config: Analysis) -> Decision | None:
    """Look for words in one series; the reason quotes the word, never the whole description."""
    for keyword in _KEYWORDS:
        text = header.text(keyword)
        stress = _configured(text, config.stress_words) or _builtin(text, _STRESS, _STRESS_SIGNS)
        rest = _configured(text, config.rest_words) or _builtin(text, _REST, _REST_SIGNS)
        if stress and (rest or find_word(rf"(?:{_AFTER}) ?(?:{_STRESS})", plain(text))):
            other = f"'{rest}'" if rest else "a word for after"
            reason = f"{keyword} says '{stress}' and {other}"
            return Decision(state=State.UNDETERMINED, reason=reason)
        if stress:
            return Decision(state=State.STRESS, reason=f"{keyword} says '{stress}'")
        if rest:
            return Decision(state=State.REST, reason=f"{keyword} says '{rest}'")
    return None


def _configured(text: str, patterns: Sequence[str]) -> str | None:
    for pattern in patterns:
        match = re.search(pattern, text, re.IGNORECASE)
        if match and match.group():
            return match.group()
    return None


def _builtin(text: str, words: str, signs: Sequence[str]) -> str | None:
    found = find_word(words, plain(text))
    return found or next((sign for sign in signs if sign in text), None)


def _intervention(evidence: Evidence) -> Decision | None:
    """Decide by coded patient state and by drugs given (PS3.3 C.7.6.13, C.7.6.14, CID 3101)."""
    for header in evidence.headers:
        for item in header.items("AcquisitionContextSequence"):
            for code in item.items("ConceptCodeSequence"):
                value = code.text("CodeValue")
                if value in _STRESS_CODES:
                    return Decision(state=State.STRESS, reason="the coded patient state is stress")
                if value in _REST_CODES:
                    return Decision(state=State.REST, reason="the coded patient state is rest")
        drug = _drug(header, evidence.start_s)
        if drug is not None:
            return Decision(state=State.STRESS, reason=f"the header says that {drug} was given")
    return None


def _drug(header: Header, start_s: float | None) -> str | None:
    """Return the stress drug that acted when the images were taken, None where none did."""
    names = [
        (item, item.text("InterventionDrugName"))
        for item in header.items("InterventionDrugInformationSequence")
    ]
    names += [
        (item, code.text("CodeMeaning"))
        for item in header.items("InterventionSequence")
        for code in item.items("InterventionDrugCodeSequence")
        if item.text("InterventionStatus") in ("", "INTERMEDIATE")
    ]
    for item, name in names:
        word = find_word(_STRESS, plain(name))
        if word and _acts(item, header, start_s):
            return word
    return None


def _acts(item: Header, header: Header, start_s: float | None) -> bool:
    """Whether a drug was given before the images, and not long before; without times: yes."""
    day = header.text("AcquisitionDate") or header.text("StudyDate")
    given = clock_seconds(day, item.text("InterventionDrugStartTime"))
    if given is None or start_s is None:
        return True
    stopped = clock_seconds(day, item.text("InterventionDrugStopTime"))
    return given <= start_s <= max(given, stopped or given) + _LONGEST_DRUG_EFFECT_S


def _decide_pair(decisions: Sequence[Decision], passes: Sequence[Evidence]) -> list[Decision]:
    """Decide what is open of two first passes by the other one and by the heart rates."""
    open_ones = [i for i, decision in enumerate(decisions) if not decision.reason]
    faster = _faster([evidence.heart_rate_bpm for evidence in passes])
    if len(open_ones) == 2:
        return _by_basal(passes) or _by_rate(faster, passes)
    if len(open_ones) != 1:
        return list(decisions)
    (index,) = open_ones
    other = decisions[1 - index]
    # a heart that beats faster in the supposed rest contradicts the elimination
    contradiction = {State.STRESS: index, State.REST: 1 - index}.get(other.state)
    if other.state is State.UNDETERMINED or faster == contradiction:
        return list(decisions)
    left = State.REST if other.state is State.STRESS else State.STRESS
    reason = f"the other of the two first passes is {other.state.value}"
    both = list(decisions)
    both[index] = Decision(state=left, reason=reason)
    return both


def _by_rate(faster: int | None, passes: Sequence[Evidence]) -> list[Decision]:
    """Decide by heart rates that clearly differ; the order of the two is said, not judged."""
    if faster is None:
        return [_Undecided, _Undecided]
    order = "first" if faster == 0 else "second"
    rates = [evidence.heart_rate_bpm or 0.0 for evidence in passes]
    ground = (
        f"no word says so; the heart rates were {rates[0]:.0f} and {rates[1]:.0f} /min, "
        f"and stress was taken to be the faster, {order} one"
    )
    states = [State.REST, State.REST]
    states[faster] = State.STRESS
    return [Decision(state=state, reason=ground) for state in states]


def _faster(rates: Sequence[float | None]) -> int | None:
    """Return which of two hearts beats clearly faster."""
    first, second = rates
    if first is None or second is None:
        return None
    low, high = min(first, second), max(first, second)
    if high - low < _HIGHER_RATE_BPM or high < _HIGHER_RATE_RATIO * low:
        return None
    return 0 if first > second else 1


def _by_basal(passes: Sequence[Evidence]) -> list[Decision] | None:
    """Take 'basal' for rest where one of two first passes says it and no slice level is named."""
    texts = [
        " ".join(plain(header.text(keyword)) for header in e.headers for keyword in _KEYWORDS)
        for e in passes
    ]
    said = [find_word(_REST_OR_LEVEL, text) for text in texts]
    if any(find_word(_LEVELS, text) for text in texts) or sum(map(bool, said)) != 1:
        return None
    reason = f"a description says '{said[0] or said[1]}' of one of the two first passes"
    return [Decision(state=State.REST if word else State.STRESS, reason=reason) for word in said]
