"""Certificates for tests: two that sign themselves."""

import subprocess
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def certificates(tmp_path_factory) -> Path:
    """Two that sign themselves; each believes only what it is told to."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("known", "stranger"):
        try:
            subprocess.run(
                ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                 "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1",
                 "-keyout", f"{name}.key", "-out", f"{name}.pem"],
                cwd=folder, check=True, capture_output=True,
            )  # fmt: skip
        except FileNotFoundError:
            pytest.skip("openssl absent: install Debian's openssl")
    return folder


def tls(certificates: Path, name: str, believes: str = "known") -> dict[str, str]:
    """Settings of somebody with one of them."""
    return {
        "certificate": str(certificates / f"{name}.pem"),
        "private_key": str(certificates / f"{name}.key"),
        "authorities": str(certificates / f"{believes}.pem"),
    }
