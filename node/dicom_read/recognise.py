"""What an image is not: recognised by image type, contrast and words."""

from node.dicom_read import philips
from node.dicom_read.frames import Frame
from node.dicom_read.header import Header
from node.dicom_read.words import find_word, plain

_TYPES = (
    ({"LOCALIZER"}, "it is a localizer"),
    ({"P", "PHASE", "PHASE MAP", "VELOCITY", "REAL", "IMAGINARY", "R", "I"}, "it is no magnitude"),
    ({"T1 MAP", "T2 MAP", "T2_STAR MAP", "MAP", "ADC", "FLOW_MAP", "MBF", "RCBF"}, "it is a map"),
    ({"DIFFUSION", "FMRI", "MPR", "PROJECTION IMAGE"}, "it is no dynamic image of the heart"),
)
_WORDS = (
    (r"localizer|localiser|(?:ti ?)?scout|survey|haste|topogram", "a localizer"),
    (r"cine|zine|(?<!input )function", "a cine series"),
    (r"lge|late|delayed|viab\w*|psir", "late enhancement"),
    (r"molli|shmolli|sasha|look ?locker|maps?|mapping|mbf|ecv", "a map"),
    (r"flow|velocity|venc", "a flow measurement"),
    (r"tagging|tag|dti|dwi|diffusion|bold|fmri|asl", "another kind of imaging"),
)
_PERFUSION = r"perf\w*|first ?pass|dyn(?:amic)?|t(?:fl|fi)\w*perf\w*|ep2d sr|aif"
_MAP = r"maps?|mbf"
_MOTION_COMPENSATED = r"moco\w*|motion ?corr\w*"
_PROTON_DENSITY = r"pd|pdw|proton ?dens\w*"
_INPUT = r"aif|input function"
_DESCRIPTIONS = ("SeriesDescription", "ProtocolName")
_LONGEST_ECHO_TIME_MS = 10.0
_OTHER_BODY_PARTS = frozenset(
    {"ABDOMEN", "BRAIN", "BREAST", "HEAD", "KIDNEY", "KNEE", "LIVER", "NECK", "PROSTATE", "SPINE"}
)


def refusal(frame: Frame) -> str | None:
    """Say why an image is something else; None where it may be a perfusion image."""
    return _refusal_by_type(frame) or refusal_by_words(frame.header)


def _refusal_by_type(frame: Frame) -> str | None:
    """Say why an image is something else by its type or contrast; None where it may be one."""
    for types, reason in _TYPES:
        found = frame.image_type & types
        if found:
            return f"{reason} (image type {min(found)})"
    header = frame.header
    if (header.number("DiffusionBValue") or 0) > 0:
        return "it is diffusion imaging (b-value)"
    echo_time = header.number("EchoTime", "EffectiveEchoTime")
    if echo_time is not None and echo_time > _LONGEST_ECHO_TIME_MS:
        return f"its echo time of {echo_time:.0f} ms is not that of first-pass perfusion"
    if header.text("BodyPartExamined").upper() in _OTHER_BODY_PARTS:
        return "it does not show the heart (body part examined)"
    return None


def refusal_by_words(header: Header) -> str | None:
    """Say what a series is by its description, unless that also speaks of perfusion."""
    for keyword in _DESCRIPTIONS:
        text = plain(header.text(keyword))
        if find_word(_PERFUSION, text) and not find_word(_MAP, text):
            return None
        for words, kind in _WORDS:
            word = find_word(words, text)
            if word:
                return f"it is {kind} ({keyword} says '{word}')"
    return None


def speaks_of_perfusion(header: Header) -> bool:
    """Whether a word says that this is perfusion imaging."""
    names = (*_DESCRIPTIONS, "SequenceName", "PulseSequenceName")
    return any(find_word(_PERFUSION, plain(header.text(name))) for name in names)


def speaks_of_heart(header: Header) -> bool:
    """Whether anything but the structure says that this is first-pass imaging of the heart."""
    numbers = ("HeartRate", "NominalInterval", "RRIntervalTimeNominal", "InversionTime")
    return (
        speaks_of_perfusion(header)
        or any((header.number(keyword) or 0) > 0 for keyword in numbers)
        or "CG" in header.texts("ScanOptions")
        or header.text("SaturationRecovery") == "YES"
        or header.text("CardiacSynchronizationTechnique") not in ("", "NONE")
        or bool(header.text("ContrastBolusAgent"))
        or philips.has_saturation_prepulse(header)
    )


def is_motion_compensated(frame: Frame) -> bool:
    """Whether the scanner has moved the images of a series."""
    return "MOCO" in frame.image_type or _description_says(frame.header, _MOTION_COMPENSATED)


def is_proton_density(frame: Frame) -> bool:
    """Whether a word says that an image is proton-density weighted."""
    comment = plain(frame.header.text("ImageComments"))
    types = {"PD", "PROTON_DENSITY"} & frame.image_type
    contrast = frame.header.text("AcquisitionContrast") == "PROTON_DENSITY"
    named = find_word(_PROTON_DENSITY, comment) is not None
    return bool(types) or contrast or named or _description_says(frame.header, _PROTON_DENSITY)


def is_input_series(frame: Frame) -> bool:
    """Whether a word says that a series is for the input function."""
    text = plain(frame.header.text("SeriesDescription"))
    return "AIF" in frame.image_type or find_word(_INPUT, text) is not None


def _description_says(header: Header, words: str) -> bool:
    return find_word(words, plain(header.text("SeriesDescription"))) is not None
