"""Text that survives every character set and every value representation.

Result objects keep the character set of their source, so that names are copied as they came. Text
of our own is therefore plain ASCII, which every DICOM character set contains (PS3.5 6.1.2.1).
"""

import unicodedata

_SPELLED = {
    0x00B1: "+/-",
    0x00D7: "x",
    0x2264: "<=",
    0x2265: ">=",
    0x2248: "~",
    0x2013: "-",  # en dash
    0x2014: "-",  # em dash
    0x2212: "-",  # minus sign
    0x2018: "'",
    0x2019: "'",
    0x201C: '"',
    0x201D: '"',
    0x00B0: " deg",
    0x00B5: "u",  # micro sign
    0x03BC: "u",  # Greek mu
    0x03C1: "rho",
    0x00DF: "ss",
    0x00F8: "o",
    0x00E6: "ae",
    0x005C: "/",  # a backslash separates values in DICOM
}


def ascii_text(text: str, limit: int | None = None) -> str:
    """Spell `text` in printable ASCII, on one line, cut to `limit` characters with an ellipsis."""
    decomposed = unicodedata.normalize("NFKD", text.translate(_SPELLED))
    without_marks = "".join(c for c in decomposed if not unicodedata.combining(c))
    printable = "".join(c if " " <= c <= "~" else "?" for c in " ".join(without_marks.split()))
    if limit is not None and len(printable) > limit:
        return printable[: limit - 3].rstrip() + "..."
    return printable


def content_label(text: str) -> str:
    """Spell `text` as a code string: upper case, digits, spaces, underscores, 16 characters."""
    label = "".join(c if c.isalnum() else "_" for c in ascii_text(text).upper())
    return label[:16]


def decimal(value: float) -> str:
    """Write a number as a decimal string of at most 16 characters (PS3.5 6.2)."""
    for digits in range(10, 3, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    raise ValueError(f"{value} does not fit a decimal string")
