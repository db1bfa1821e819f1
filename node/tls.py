"""TLS by PS3.15 B.12 (BCP 195: RFC 8996 and RFC 9325), always with certificates on both sides."""

import os
import ssl
from pathlib import Path

from node.config import Tls
from node.errors import UsageError

# RFC 9325 section 4.2: forward secrecy and authenticated encryption; TLS 1.3 has nothing else.
_CIPHERS_OF_TLS_1_2 = "ECDHE+AESGCM:ECDHE+CHACHA20"
_CREDENTIAL = "credential:"


def server_context(settings: Tls) -> ssl.SSLContext:
    """Return what an SCP wraps its connections in; a peer without a known certificate is refused.

    Raises
    ------
    UsageError
        A file cannot be read or does not fit; the message names it, never its content.
    """
    context = _context(ssl.PROTOCOL_TLS_SERVER, settings)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE | ssl.OP_NO_TICKET
    return context


def client_context(settings: Tls, *, check_host_name: bool = True) -> ssl.SSLContext:
    """Return what an SCU wraps its connections in.

    Certificates of DICOM devices often name no host. Then `authorities` must be narrow, because
    any certificate that it signs is believed.
    """
    context = _context(ssl.PROTOCOL_TLS_CLIENT, settings)
    context.check_hostname = check_host_name
    return context


def _context(protocol: int, settings: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996: no older one, ever
    context.set_ciphers(_CIPHERS_OF_TLS_1_2)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.verify_mode = ssl.CERT_REQUIRED
    certificate, key = _path(settings.certificate), _path(settings.private_key)
    authorities = _path(settings.authorities)
    try:
        # Without a password of its own, OpenSSL would ask for one on the terminal.
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ValueError) as error:
        raise UsageError(
            f"cannot use {certificate} with its private key: {_reason(error)}"
        ) from error
    try:
        context.load_verify_locations(cafile=authorities)
    except OSError as error:
        raise UsageError(f"cannot use the authorities {authorities}: {_reason(error)}") from error
    return context


def _path(setting: str) -> Path:
    if not setting.startswith(_CREDENTIAL):
        return Path(setting)
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    if folder is None:
        raise UsageError(f"'{setting}' is a systemd credential, and the service was given none")
    return Path(folder) / setting.removeprefix(_CREDENTIAL)


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return error.reason or "not what it should be"
    return getattr(error, "strerror", None) or "not what it should be"
