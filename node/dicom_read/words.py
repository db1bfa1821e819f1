"""Words in descriptions, whatever their case, accents and separators."""

import re
import unicodedata
from functools import lru_cache


@lru_cache(maxsize=1024)
def plain(text: str) -> str:
    """Lower case without accents, words and numbers separated by single spaces."""
    separated = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)
    bare = "".join(c for c in unicodedata.normalize("NFKD", separated) if not _is_accent(c))
    return re.sub(r"[\W_]+", " ", bare.lower()).strip()


@lru_cache(maxsize=4096)
def find_word(words: str, plain_text: str) -> str | None:
    """Return the first of `words` (alternatives of a regular expression) in a plain text.

    Digits may touch a word (``stress2``), letters may not (``prestige`` is no ``rest``).
    """
    match = re.search(rf"(?<![^\W\d])(?:{words})(?![^\W\d])", plain_text)
    return match.group() if match else None


def _is_accent(character: str) -> bool:
    """Whether a combining character is one of Latin script; in others they change the letter."""
    return unicodedata.combining(character) != 0 and character < "\u0370"
