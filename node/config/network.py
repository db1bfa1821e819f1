"""Who may talk to the node, and to whom it talks."""

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, IPvAnyNetwork, model_validator

from node.config.fields import (
    AeTitle,
    Fingerprint,
    Port,
    PositiveFloat,
    PositiveInt,
    Settings,
)
from node.config.study import ObjectKind

Verdict = Literal["analysed", "withheld", "nothing"]
PlainSyntax = Literal["explicit-vr-little-endian", "implicit-vr-little-endian"]


class Tls(Settings):
    """Mutually authenticated TLS by PS3.15 B.12 (BCP 195): our certificate and whom we believe.

    A path that begins with `credential:` names a systemd credential of the service.
    """

    certificate: str
    """PEM file: our certificate and the intermediate ones after it."""
    private_key: str
    """PEM file, not encrypted; keep it as a systemd credential."""
    authorities: str
    """PEM file: the certificates that sign, or are, those of our peers."""


class Sender(Settings):
    """Somebody who may send, and how to be sure of it. An empty list asks for nothing."""

    ae_title: AeTitle
    addresses: tuple[IPvAnyNetwork, ...] = ()
    """Addresses or networks from which this AE title is believed."""
    certificates: tuple[Fingerprint, ...] = ()
    """Certificates with which this AE title is believed; needs `tls`."""
    host: str | None = None
    """Where answers about storage commitment go that cannot be given on the same association."""
    port: Annotated[int, Field(ge=1, le=65535)] = 104


class Receive(Settings):
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

    @model_validator(mode="after")
    def _certificates_need_tls(self) -> Self:
        if self.tls is None and any(sender.certificates for sender in self.senders):
            raise ValueError("certificates of senders are only seen with tls")
        return self


class Audit(Settings):
    """The audit trail by PS3.15 A.5."""

    repository: str | None = None
    """Host of a syslog repository (RFC 5424 over TLS, RFC 5425); None: only the local file."""
    port: Annotated[int, Field(ge=1, le=65535)] = 6514
    tls: Tls | None = None
    """Needed with a repository."""
    site: str = "perfusion-node"
    """The audit source; the name by which the repository knows this node."""

    @model_validator(mode="after")
    def _repository_needs_tls(self) -> Self:
        if self.repository is not None and self.tls is None:
            raise ValueError("a repository needs tls: nothing is sent to it in the clear")
        return self


class Archive(Settings):
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


class Delivery(Settings):
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
        _need_names_of_their_own("destinations", self.destinations)
        return self


class Retrieve(Settings):
    """Whence studies may be fetched (`perfusion-node fetch`)."""

    archives: tuple[Archive, ...] = ()
    timeout_s: PositiveFloat = 120.0
    """For each answer; a PACS may have to bring back a study from a tape first."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        _need_names_of_their_own("archives", self.archives)
        return self


def _need_names_of_their_own(what: str, archives: Sequence[Archive]) -> None:
    names = [archive.name for archive in archives]
    if len(set(names)) < len(names):
        raise ValueError(f"two {what} have the same name")


class Status(Settings):
    """The status page, with metrics at `/metrics` and `/health` for a watchdog. Read only."""

    host: str = "127.0.0.1"
    port: Port | None = 8642
    """None: no status page."""
