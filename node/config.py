"""config.yaml as frozen, typed settings: unknown keys are errors, all problems reported at once.

Every field has a default that works on one machine, so an empty file is a valid configuration
that receives and analyses but delivers nowhere.
"""

import re
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    IPvAnyNetwork,
    ValidationError,
    model_validator,
)

from node.errors import UsageError

AeTitle = Annotated[str, Field(min_length=1, max_length=16, pattern=r"^[!-~][ -~]{0,15}$")]
Port = Annotated[int, Field(ge=0, le=65535)]
PositiveFloat = Annotated[float, Field(gt=0)]


def _regular_expression(text: str) -> str:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from error
    return text


Pattern = Annotated[str, AfterValidator(_regular_expression)]
PositiveInt = Annotated[int, Field(ge=1)]
Fingerprint = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
"""SHA-256 of a certificate (DER), as `openssl x509 -fingerprint -sha256` prints it, in lower case
without colons."""


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Tls(_Settings):
    """Mutually authenticated TLS by PS3.15 B.12 (BCP 195): our certificate and whom we believe.

    A path that begins with `credential:` names a systemd credential of the service.
    """

    certificate: str
    """PEM file: our certificate and the intermediate ones after it."""
    private_key: str
    """PEM file, not encrypted; keep it as a systemd credential."""
    authorities: str
    """PEM file: the certificates that sign, or are, those of our peers."""


class Sender(_Settings):
    """Somebody who may send, and how to be sure of it. An empty list asks for nothing."""

    ae_title: AeTitle
    addresses: tuple[IPvAnyNetwork, ...] = ()
    """Addresses or networks from which this AE title is believed."""
    certificates: tuple[Fingerprint, ...] = ()
    """Certificates with which this AE title is believed; needs `tls`."""
    host: str | None = None
    """Where answers about storage commitment go that cannot be given on the same association."""
    port: Annotated[int, Field(ge=1, le=65535)] = 104


class Receive(_Settings):
    """The Storage, Verification and Storage Commitment SCP."""

    ae_title: AeTitle = "PERFUSION"
    host: str = "0.0.0.0"  # noqa: S104  a node is there to be reached; narrow it in the file
    port: Port = 11112
    calling_ae_titles: tuple[AeTitle, ...] = ()
    """Who may send, by AE title alone. With no `senders` either: everybody."""
    senders: tuple[Sender, ...] = ()
    """Who may send, by AE title, address and certificate."""
    tls: Tls | None = None
    maximum_associations: PositiveInt = 32
    """More are rejected as transient (local limit exceeded)."""
    maximum_associations_per_address: PositiveInt = 16
    negotiation_timeout_s: PositiveFloat = 10.0
    """TLS handshake and association request must be over by then."""
    maximum_instance_mb: PositiveInt = 4096
    """A larger data set is refused with 0xA700 (out of resources)."""
    network_timeout_s: PositiveFloat = 60.0
    """An association that is silent for so long is aborted."""
    minimum_free_mb: Annotated[int, Field(ge=0)] = 1024
    """Below this much free disk, associations are rejected (transient) and C-STORE is refused with
    0xA700 (out of resources)."""


class Audit(_Settings):
    """The audit trail by PS3.15 A.5."""

    repository: str | None = None
    """Host of a syslog repository (RFC 5424 over TLS, RFC 5425); None: only the local file."""
    port: Annotated[int, Field(ge=1, le=65535)] = 6514
    tls: Tls | None = None
    """Needed with a repository."""
    site: str = "perfusion-node"
    """The audit source; the name by which the repository knows this node."""


class Completion(_Settings):
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


ObjectKind = Literal[
    "reference", "segmentation", "parametric-map", "mbf-mr", "report", "pictures", "motion", "pdf"
]


Verdict = Literal["analysed", "withheld", "nothing"]
PlainSyntax = Literal["explicit-vr-little-endian", "implicit-vr-little-endian"]


class Archive(_Settings):
    """A PACS, as we call it."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
    ae_title: AeTitle
    host: str
    port: Annotated[int, Field(ge=1, le=65535)]
    calling_ae_title: AeTitle | None = None
    """As whom we call it; None: `receive.ae_title`."""
    tls: Tls | None = None
    check_host_name: bool = True
    """Whether its certificate must name `host`; those of many devices name no host."""


class Destination(Archive):
    """A PACS that gets results, and by which rules."""

    objects: tuple[ObjectKind, ...] = ()
    """What it gets; empty: everything that is made. What stands in for one of these on the ladder
    (a picture for a Parametric Map) is sent when the destination refuses the first choice."""
    verdicts: tuple[Verdict, ...] = ("analysed", "withheld", "nothing")
    """Of which studies: analysed; withheld by the quality gate; nothing to analyse."""
    senders: tuple[AeTitle, ...] = ()
    """Only of studies that came from these AE titles; empty: of all."""
    transfer_syntaxes: Annotated[tuple[PlainSyntax, ...], Field(min_length=1)] = (
        "explicit-vr-little-endian",
        "implicit-vr-little-endian",
    )
    """What it may choose from for uncompressed objects."""
    confirm: Literal["none", "find", "commitment"] = "none"
    """Whether it is asked afterwards what it has: by C-FIND, or by storage commitment. What it does
    not have is sent again."""


class Delivery(_Settings):
    """Where results go, and how stubbornly."""

    destinations: tuple[Destination, ...] = ()
    first_retry_s: PositiveFloat = 30.0
    longest_retry_s: PositiveFloat = 3600.0
    """The wait doubles with each attempt, from the first to the longest."""
    give_up_after_h: PositiveFloat = 96.0
    """Then a person decides (`perfusion-node studies retry`)."""
    timeout_s: PositiveFloat = 60.0
    """For connecting and for each answer."""
    confirm_after_s: PositiveFloat = 10.0
    """How long a destination is left in peace before it is asked what it has."""
    confirm_within_s: PositiveFloat = 3600.0
    """How long a report of storage commitment is waited for before it is asked for again."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        names = [destination.name for destination in self.destinations]
        if len(set(names)) < len(names):
            raise ValueError("two destinations have the same name")
        return self


class Retrieve(_Settings):
    """Whence studies may be fetched (`perfusion-node fetch`)."""

    archives: tuple[Archive, ...] = ()
    timeout_s: PositiveFloat = 120.0
    """For each answer; a PACS may have to bring back a study from a tape first."""


class Storage(_Settings):
    """Where the node keeps what it has received and made."""

    directory: Path = Path("/var/lib/perfusion-node")
    database_url: str | None = None
    """SQLAlchemy URL; the default is an SQLite file in `directory`."""
    delete_after_days: PositiveFloat | None = None
    """Images and results are deleted so long after the last news of a study, once everything is
    delivered and confirmed; None: nothing is deleted; the disk watermark protects what is there."""


class ProtocolPhysics(_Settings):
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


class Analysis(_Settings):
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
    rest_systolic_mmhg: PositiveFloat | None = None
    """Systolic pressure at rest where the header has none: only for a study processed by hand."""
    ischaemic_mbf_ml_min_g: PositiveFloat | None = 1.94
    """Stress flow below which myocardium counts as ischaemic; None: no such burden is reported."""
    ischaemic_mpr: PositiveFloat | None = 2.0
    """Likewise for the perfusion reserve."""
    rest_words: tuple[Pattern, ...] = ()
    """Further regular expressions that mark a series as rest, beside the built-in ones."""
    stress_words: tuple[Pattern, ...] = ()
    protocols: tuple[ProtocolPhysics, ...] = ()
    timeout_s: PositiveFloat = 1800.0


class Results(_Settings):
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


class Status(_Settings):
    """The status page, with metrics at `/metrics` and `/health` for a watchdog. Read only."""

    host: str = "127.0.0.1"
    port: Port | None = 8642
    """None: no status page."""


class Logging(_Settings):
    """What is written about the node's work. Never patient data."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"


class Config(_Settings):
    """The whole file."""

    receive: Receive = Receive()
    audit: Audit = Audit()
    completion: Completion = Completion()
    storage: Storage = Storage()
    analysis: Analysis = Analysis()
    results: Results = Results()
    delivery: Delivery = Delivery()
    retrieve: Retrieve = Retrieve()
    status: Status = Status()
    logging: Logging = Logging()

    @model_validator(mode="after")
    def _missing_comes_from_a_known_archive(self) -> Self:
        name = self.completion.fetch_missing_from
        if name is not None and name not in {archive.name for archive in self.retrieve.archives}:
            raise ValueError(f"completion.fetch_missing_from: no '{name}' in retrieve.archives")
        return self


def load_config(path: Path | None) -> Config:
    """Read `path`, or take the defaults where it is None.

    Raises
    ------
    UsageError
        The file cannot be read or has problems; the message lists all of them with their paths.
    """
    if path is None:
        return Config()
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read the configuration {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"the configuration {path} is not YAML: {error}") from error
    if content is not None and not isinstance(content, dict):
        raise UsageError(f"the configuration {path} must be a mapping of sections")
    try:
        return Config.model_validate(content or {})
    except ValidationError as error:
        raise UsageError(_all_problems(path, error)) from error


def with_rest_systolic(config: Config, mmhg: float) -> Config:
    """Change the systolic pressure at rest.

    Raises
    ------
    UsageError
        It is no pressure.
    """
    content = config.model_dump()
    content["analysis"]["rest_systolic_mmhg"] = mmhg
    try:
        return Config.model_validate(content)
    except ValidationError as error:
        raise UsageError("the systolic pressure must be a positive number of mmHg") from error


def _all_problems(path: Path, error: ValidationError) -> str:
    """One line a problem, each with its path in the file."""
    lines = [f"the configuration {path} has {error.error_count()} problem(s):"]
    for problem in error.errors():
        where = ".".join(str(part) for part in problem["loc"])
        lines.append(f"  at '{where}': {problem['msg']}")
    return "\n".join(lines)
