"""TLS with certificates on both sides, against DCMTK and against peers that do not play along."""

import contextlib
import hashlib
import socket
import ssl
import subprocess
import warnings

import pytest

from node.audit import AuditTrail
from node.config import Audit, Receive, Sender, Tls
from node.errors import UsageError
from node.index.tables import open_index
from node.receive.commitment import CommitmentDesk
from node.receive.intake import Intake
from node.receive.scp import Scp
from node.spool import Spool
from node.tls import client_context, server_context
from tests.receiving import files_of


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """One authority; `node` and `peer` signed by it; `stranger` signed by itself."""
    folder = tmp_path_factory.mktemp("certificates")

    def openssl(*arguments: str) -> None:
        try:
            subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
        except FileNotFoundError:
            pytest.skip("openssl absent: install Debian's openssl")

    key = ("-newkey", "rsa:2048", "-nodes", "-days", "2")
    for name in ("authority", "stranger"):
        openssl("req", "-x509", *key, "-keyout", f"{name}.key", "-out", f"{name}.pem",
                "-subj", f"/CN={name}")  # fmt: skip
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    for name in ("node", "peer"):
        openssl("req", "-new", *key[:3], "-keyout", f"{name}.key", "-out", f"{name}.csr",
                "-subj", f"/CN={name}")  # fmt: skip
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "authority.pem", "-CAkey",
                "authority.key", "-CAcreateserial", "-days", "2", "-extfile", "names",
                "-out", f"{name}.pem")  # fmt: skip
    return folder


def settings_of(certificates, name: str) -> Tls:
    return Tls(
        certificate=str(certificates / f"{name}.pem"),
        private_key=str(certificates / f"{name}.key"),
        authorities=str(certificates / "authority.pem"),
    )


def fingerprint(certificates, name: str) -> str:
    text = (certificates / f"{name}.pem").read_text()
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(text)).hexdigest()


@pytest.fixture
def tls_receiver(certificates, storage):
    index, spool = open_index(storage), Spool.open(storage)
    started = []

    def start(**settings) -> Scp:
        tls = settings_of(certificates, "node")
        receive = Receive(host="127.0.0.1", port=0, tls=tls, **settings)
        scp = Scp(
            receive,
            Intake(spool, index),
            CommitmentDesk(spool, index, receive),
            AuditTrail(Audit(), storage, ae_title=receive.ae_title),
            tls=server_context(tls),
        )
        started.append(scp.start())
        return scp

    yield start
    for scp in started:
        scp.stop()
    spool.close()
    index.dispose()


@pytest.fixture
def echo(certificates, program):
    """Send DCMTK's C-ECHO over TLS with a certificate; return whether it was answered."""

    def call(scp, name: str, title: str = "SCANNER", *more: str) -> bool:
        files = (str(certificates / f"{name}.key"), str(certificates / f"{name}.pem"))
        authority = ("+cf", str(certificates / "authority.pem"))
        command = [program("echoscu"), "+tls", *files, *authority, *more, "-to", "5", "-aet", title]
        command += ["-aec", "PERFUSION", "127.0.0.1", str(scp.port)]
        return subprocess.run(command, capture_output=True, check=False, timeout=60).returncode == 0

    return call


def test_a_peer_with_a_certificate_of_the_authority_is_served(tls_receiver, echo):
    assert echo(tls_receiver(), "peer")


def test_a_peer_with_a_foreign_certificate_is_not(tls_receiver, echo):
    assert not echo(tls_receiver(), "stranger")


def test_a_peer_without_a_certificate_is_not(tls_receiver, certificates):
    context = ssl.create_default_context(cafile=certificates / "authority.pem")
    with socket.create_connection(("127.0.0.1", tls_receiver().port), timeout=10) as plain:
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as stream:
                # In TLS 1.3 the client hears of its refusal only when it reads.
                assert stream.recv(1) == b""
        except (ssl.SSLError, ConnectionError):
            return


def test_old_versions_are_not_spoken(tls_receiver, certificates):
    context = client_context(settings_of(certificates, "peer"))
    with warnings.catch_warnings(action="ignore"):  # that it is deprecated is the point
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", tls_receiver().port), timeout=10) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(plain, server_hostname="localhost")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_only_forward_secret_authenticated_ciphers_are_chosen(tls_receiver, certificates, version):
    context = client_context(settings_of(certificates, "peer"))
    context.minimum_version = context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", tls_receiver().port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as stream,
    ):
        cipher = stream.cipher()
    assert cipher is not None
    assert "GCM" in cipher[0] or "CHACHA20" in cipher[0]


def test_a_title_is_believed_only_with_its_certificate(tls_receiver, echo, certificates):
    right = Sender(ae_title="SCANNER", certificates=(fingerprint(certificates, "peer"),))
    wrong = Sender(ae_title="OTHER", certificates=("0" * 64,))
    scp = tls_receiver(senders=(right, wrong))
    assert echo(scp, "peer", "SCANNER")
    assert not echo(scp, "peer", "OTHER")
    assert not echo(scp, "peer", "STRANGER")


@pytest.mark.parametrize("said", [b"", b"\x16\x03\x01", b"GET / HTTP/1.0\r\n\r\n"])
def test_peers_that_never_shake_hands_do_not_keep_others_out(tls_receiver, echo, said):
    scp = tls_receiver(negotiation_timeout_s=30.0)
    with contextlib.ExitStack() as stack:
        for _ in range(80):
            stream = socket.create_connection(("127.0.0.1", scp.port), timeout=10)
            stack.enter_context(stream).sendall(said)
        assert echo(scp, "peer")


def test_a_handshake_that_trickles_is_dropped(tls_receiver):
    scp = tls_receiver(negotiation_timeout_s=0.3)
    with socket.create_connection(("127.0.0.1", scp.port), timeout=10) as stream:
        stream.sendall(b"\x16\x03\x01\x02")
        try:
            assert stream.recv(1) == b""
        except ConnectionResetError:
            return


def test_a_study_arrives_over_tls(
    tls_receiver, certificates, storage, mr_instance, program, tmp_path
):
    scp = tls_receiver()
    for number in range(1, 6):
        mr_instance(number).save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
    files = (str(certificates / "peer.key"), str(certificates / "peer.pem"))
    command = [program("storescu"), "+tls", *files, "+cf", str(certificates / "authority.pem")]
    command += ["-aec", "PERFUSION", "127.0.0.1", str(scp.port)]
    command += [str(file) for file in sorted(tmp_path.glob("*.dcm"))]
    subprocess.run(command, check=True, timeout=60, capture_output=True)
    assert len(files_of(storage.directory)) == 5


def test_files_that_do_not_fit_are_named_and_not_shown(certificates):
    for change in ({"private_key": str(certificates / "stranger.key")}, {"authorities": "/absent"}):
        settings = settings_of(certificates, "node").model_copy(update=change)
        with pytest.raises(UsageError) as raised:
            server_context(settings)
        assert "PRIVATE" not in str(raised.value)


def test_a_credential_of_systemd_is_found(certificates, monkeypatch):
    settings = settings_of(certificates, "node").model_copy(
        update={"private_key": "credential:node.key"}
    )
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    with pytest.raises(UsageError, match="systemd credential"):
        server_context(settings)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(certificates))
    server_context(settings)
