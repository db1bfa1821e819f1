"""Rest or stress, by what the headers say; never by guess."""

import re
import unicodedata
from collections.abc import Sequence

from node.config import Analysis
from node.dicom_read.header import Header
from pipeline.study import State

_STRESS = (
    r"stress",
    r"adeno\w*",
    r"regadenos\w*",
    r"rapiscan",
    r"lexiscan",
    r"dobu\w*",
    r"dipyridamol\w*",
    r"persantin\w*",
    r"atp",
    r"vasodilat\w*",
    r"hyper(?:a?e)mi\w*",
    r"belast\w*",  # German, Danish, Swedish
    r"effort",  # French
    r"esfuerzo|estres\w*|esforco",  # Spanish, Portuguese
    r"sforzo",  # Italian
    r"inspanning",  # Dutch
    r"rasitus",  # Finnish
    r"obciazeni\w*",  # Polish
    r"zatez\w*",  # Czech
    r"terhel\w*",  # Hungarian
    r"нагруз\w*",  # Russian
)
_REST = (
    r"rest",
    r"resting",
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
_STRESS_PARTS = ("负荷", "負荷")  # Chinese, Japanese: written without spaces
_REST_PARTS = ("静息", "安静")
_KEYWORDS = ("SeriesDescription", "ProtocolName", "ImageComments")


def plain(text: str) -> str:
    """Lower case without accents, words separated by single spaces."""
    separated = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    bare = "".join(c for c in unicodedata.normalize("NFKD", separated) if not _is_accent(c))
    return re.sub(r"[\W_]+", " ", bare.lower()).strip()


def _is_accent(character: str) -> bool:
    return unicodedata.combining(character) != 0 and character < "\u0370"


def state_by_words(header: Header, config: Analysis) -> tuple[State, str]:
    """Look for words in the series' description, protocol and comments.

    Returns
    -------
    The state and the reason; the reason names the matched word only, never the whole text.
    """
    for keyword in _KEYWORDS:
        text = header.text(keyword)
        stress = _found(text, _STRESS, _STRESS_PARTS, config.stress_words)
        rest = _found(text, _REST, _REST_PARTS, config.rest_words)
        if stress and rest:
            reason = f"{keyword} says both '{stress}' and '{rest}'"
            return State.UNDETERMINED, reason
        if stress:
            return State.STRESS, f"{keyword} says '{stress}'"
        if rest:
            return State.REST, f"{keyword} says '{rest}'"
    return State.UNDETERMINED, "no word in the headers says rest or stress"


def _found(
    text: str, words: Sequence[str], parts: Sequence[str], patterns: Sequence[str]
) -> str | None:
    """Return the word that was found, None where there is none."""
    for pattern in patterns:
        match = re.search(pattern, text, re.IGNORECASE)
        if match:
            return match.group()
    match = re.search(rf"(?<![^\W\d_])(?:{'|'.join(words)})(?![^\W\d_])", plain(text))
    if match:
        return match.group()
    return next((part for part in parts if part in text), None)
