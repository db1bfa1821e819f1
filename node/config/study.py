"""What becomes of a study: when it is whole, how it is analysed, kept and reported."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from node.config.fields import Pattern, PositiveFloat, Settings

ObjectKind = Literal[
    "reference", "segmentation", "parametric-map", "mbf-mr", "report", "pictures", "motion", "pdf"
]


def _database(url: str) -> str:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        dialect = make_url(url).drivername
    except (ArgumentError, ValueError):
        dialect = ""
    if dialect not in ("sqlite", "postgresql+psycopg"):
        raise ValueError("must begin with sqlite:/// or postgresql+psycopg://, and be a URL")
    return url


class Completion(Settings):
    """When enough has arrived."""

    series_quiet_s: PositiveFloat = 30.0
    """A series whose header does not say how many images it has is complete after this silence."""
    study_quiet_s: PositiveFloat = 60.0
    """A study is analysed when all its series are complete and nothing came for so long."""
    early: bool = True
    """Whether it is analysed at once when the headers prove that rest and stress are whole."""
    fetch_missing_from: str | None = None
    """Name in `retrieve.archives`: asked once for what a study lacks when it has rest or stress but
    not the other, or needs another series for its input function. None: nobody is asked."""
    fetch_by: Literal["move", "get"] = "move"


class Storage(Settings):
    """Where the node keeps what it has received and made."""

    directory: Path = Path("/var/lib/perfusion-node")
    database_url: Annotated[str, AfterValidator(_database)] | None = None
    """SQLAlchemy URL; the default is an SQLite file in `directory`."""
    delete_after_days: PositiveFloat | None = None
    """Images and results are deleted so long after the last news of a study, once everything is
    delivered and confirmed; None: nothing is deleted; the disk watermark protects what is there."""


class ProtocolPhysics(Settings):
    """Physical parameters for series whose headers do not carry them."""

    protocol: Pattern
    """Regular expression, searched in protocol name and series description, case ignored."""
    repetition_time_ms: PositiveFloat | None = None
    saturation_delay_ms: PositiveFloat | None = None
    pulses_before_centre: Annotated[int, Field(ge=0)] | None = None
    saturation_efficiency: Annotated[float, Field(gt=0, le=1)] | None = None
    dose_mmol_kg: PositiveFloat | None = None
    proton_density_flip_angle_deg: Annotated[float, Field(gt=0, le=180)] | None = None
    """Of the leading proton-density frames, where their header gives that of the others."""


class Analysis(Settings):
    """The method."""

    model: Literal["btex", "fermi", "2cxm", "model-free"] = "btex"
    weights: Path | None = None
    """Of the segmentation network, as `perfusion-node train` writes them; None: those shipped."""
    haematocrit: Annotated[float, Field(gt=0, lt=1)] = 0.42
    agent: Literal["gadobutrol", "gadoterate", "gadopentetate", "gadobenate"] = "gadobutrol"
    """Used where the header names no contrast agent."""
    t1_blood_ms: PositiveFloat | None = None
    """None: by field strength."""
    t1_myocardium_ms: PositiveFloat | None = None
    dual_bolus_ratio: PositiveFloat = 10.0
    rest_systolic_mmhg: Annotated[float, Field(ge=50, le=260)] | None = None
    """Systolic pressure at rest where the header has none: only for a study processed by hand. The
    bounds, those of the header, keep out other units (kPa)."""
    ischaemic_mbf_ml_min_g: PositiveFloat | None = 1.94
    """Stress flow below which myocardium counts as ischaemic; None: no such burden is reported."""
    ischaemic_mpr: PositiveFloat | None = 2.0
    """Likewise for the perfusion reserve."""
    rest_words: tuple[Pattern, ...] = ()
    """Further regular expressions that mark a series as rest, beside the built-in ones."""
    stress_words: tuple[Pattern, ...] = ()
    protocols: tuple[ProtocolPhysics, ...] = ()
    timeout_s: PositiveFloat = 1800.0


class Results(Settings):
    """What the result objects say and which are sent."""

    series_number_base: Annotated[int, Field(ge=1, le=90000)] = 9000
    superseding: Literal["rejection-note", "statement"] = "rejection-note"
    """How a PACS learns that later results replace earlier ones: the new report says so and names
    the old one; a rejection note (Key Object Selection, IHE IOCM) also takes the old objects out of
    sight, where the PACS knows it."""
    objects: tuple[ObjectKind, ...] = (
        "reference",
        "segmentation",
        "parametric-map",
        "mbf-mr",
        "report",
        "pictures",
        "motion",
    )
