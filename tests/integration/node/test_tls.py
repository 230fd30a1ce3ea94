"""A node that speaks TLS, on every port, with and without certificates of its callers."""

import datetime
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import pytest
import tritonclient.grpc
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tritonclient.utils import InferenceServerException

from augurium.client import Client, TlsFiles
from augurium.core.errors import InvalidArgument
from tests.support.node import AUGURIUM, Node, clean_environment

REPLACED_WITHIN_S = 20.0


class Files(NamedTuple):
    """An authority, and files it signed."""

    authority: trustme.CA
    folder: Path

    @property
    def ca(self) -> str:
        return str(self.folder / "ca.pem")

    def issue(self, name: str, *hosts: str, **options: Any) -> tuple[str, str]:
        """The paths of a certificate and its key, which replace what was there."""
        issued = self.authority.issue_cert(*hosts, **options)
        certificate, key = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        for content, path in (
            (issued.cert_chain_pems[0].bytes(), certificate),
            (issued.private_key_pem.bytes(), key),
        ):
            fresh = path.with_suffix(".new")
            fresh.write_bytes(content)
            fresh.replace(path)
        return str(certificate), str(key)

    def uri(self, name: str, uri: str) -> tuple[str, str]:
        """The paths of a certificate for a URI, and of its key."""
        return self.san(name, x509.UniformResourceIdentifier(uri))

    def san(self, name: str, subject: x509.GeneralName) -> tuple[str, str]:
        """The paths of a certificate with any one name in it, and of its key."""
        signer = serialization.load_pem_private_key(self.authority.private_key_pem.bytes(), None)
        assert isinstance(signer, ec.EllipticCurvePrivateKey)
        issuer = x509.load_pem_x509_certificate(self.authority.cert_pem.bytes()).subject
        key = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.now(datetime.UTC)
        issued = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName([subject]), critical=False)
            .sign(signer, hashes.SHA256())
        )
        paths = self.folder / f"{name}.pem", self.folder / f"{name}.key"
        paths[0].write_bytes(issued.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return str(paths[0]), str(paths[1])

    def config(self, **keys: str) -> Path:
        """A settings file."""
        file = self.folder / "augurium.toml"
        file.write_text("[tls]\n" + "\n".join(f'{key} = "{value}"' for key, value in keys.items()))
        return file


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    found = Files(trustme.CA(), tmp_path_factory.mktemp("tls"))
    found.authority.cert_pem.write_to_path(found.ca)
    return found


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Node]]:
    nodes: list[Node] = []

    def serve(config: Path, *flags: str) -> Node:
        home = tmp_path_factory.mktemp("node") / "home"
        nodes.append(Node(home, "--config", str(config), "--engines", "1", *flags))
        return nodes[-1]

    yield serve
    for node in nodes:
        node.stop()


@pytest.fixture(scope="module")
def mutual(files: Files, serve: Callable[..., Node]) -> Node:
    """A node that talks to callers with a certificate only."""
    certificate, key = files.issue("server", "127.0.0.1")
    return serve(
        files.config(
            certificate=certificate,
            private_key=key,
            client_ca=files.ca,
            client_certificates="required",
        )
    )


def triton(address: str, ca: str, certificate: str | None = None, key: str | None = None) -> Any:
    return tritonclient.grpc.InferenceServerClient(
        address, ssl=True, root_certificates=ca, certificate_chain=certificate, private_key=key
    )


def test_every_port_answers_a_caller_with_a_certificate(mutual: Node, files: Files) -> None:
    certificate, key = files.issue("caller", "caller.example")
    with Client(mutual.management, tls=TlsFiles(files.ca, certificate, key)) as client:
        assert client.ready().ready
        assert client.rest_url.startswith("https://")
    context = ssl.create_default_context(cafile=files.ca)
    context.load_cert_chain(certificate, key)
    assert httpx.get(f"{mutual.rest}/v2/health/ready", verify=context).status_code == 200
    assert triton(mutual.grpc, files.ca, certificate, key).is_server_ready()


def test_no_port_answers_a_caller_without_one(mutual: Node, files: Files) -> None:
    context = ssl.create_default_context(cafile=files.ca)
    for url in (f"{mutual.rest}/v2/health/live", f"{mutual.management}/api/v1/live"):
        with pytest.raises(httpx.TransportError):
            httpx.get(url, verify=context)
    with pytest.raises(InferenceServerException):
        triton(mutual.grpc, files.ca).is_server_live(client_timeout=5)


def test_a_certificate_of_another_authority_is_refused(mutual: Node, files: Files) -> None:
    stranger = trustme.CA().issue_cert("caller.example")
    context = ssl.create_default_context(cafile=files.ca)
    stranger.configure_cert(context)
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{mutual.rest}/v2/health/live", verify=context)


def test_plain_http_on_a_tls_port_harms_nobody(mutual: Node, files: Files) -> None:
    address = mutual.rest.removeprefix("https://")
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://{address}/v2/health/live")
    test_every_port_answers_a_caller_with_a_certificate(mutual, files)


def test_the_client_says_whose_certificate_it_does_not_trust(mutual: Node) -> None:
    with Client(mutual.management) as client, pytest.raises(InvalidArgument, match="AUGURIUM_CA"):
        client.models()


def test_a_replaced_certificate_is_shown_without_a_restart(
    files: Files, serve: Callable[..., Node]
) -> None:
    certificate, key = files.issue("rotated", "127.0.0.1")
    node = serve(files.config(certificate=certificate, private_key=key))
    ports = [node.rest, node.management, f"https://{node.grpc}"]
    before = [shown(url, files.ca) for url in ports]
    files.issue("rotated", "127.0.0.1")
    for url, old in zip(ports, before, strict=True):
        end = time.monotonic() + REPLACED_WITHIN_S
        while shown(url, files.ca) == old:
            assert time.monotonic() < end, f"{url} shows the old one"
            time.sleep(0.05)


def shown(url: str, ca: str) -> bytes:
    """The certificate a port shows now."""
    host, _, port = url.removeprefix("https://").partition(":")
    context = ssl.create_default_context(cafile=ca)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection((host, int(port)), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=host) as secure,
    ):
        certificate = secure.getpeercert(binary_form=True)
    assert certificate is not None
    return certificate


def refusal(config: Path, tmp_path: Path) -> str:
    """What `augurium serve` says when it does not start."""
    done = subprocess.run(
        [AUGURIUM, "serve", "--home", str(tmp_path / "home"), "--config", str(config)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert not (tmp_path / "home").exists()
    lines: list[str] = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_a_missing_file_is_named(files: Files, tmp_path: Path) -> None:
    config = files.config(certificate="/nowhere/server.pem", private_key="/nowhere/server.key")
    assert "tls.certificate /nowhere/server.pem cannot be read" in refusal(config, tmp_path)


def test_a_certificate_without_its_key_is_refused(files: Files, tmp_path: Path) -> None:
    certificate, _ = files.issue("alone", "127.0.0.1")
    assert "tls.private_key is not set" in refusal(files.config(certificate=certificate), tmp_path)


def test_a_key_of_another_certificate_is_refused(files: Files, tmp_path: Path) -> None:
    certificate, _ = files.issue("one", "127.0.0.1")
    _, key = files.issue("other", "127.0.0.1")
    said = refusal(files.config(certificate=certificate, private_key=key), tmp_path)
    assert "key values mismatch" in said


def test_an_expired_certificate_is_refused(files: Files, tmp_path: Path) -> None:
    past = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
    certificate, key = files.issue("expired", "127.0.0.1", not_after=past)
    said = refusal(files.config(certificate=certificate, private_key=key), tmp_path)
    assert "to 2020-01-01" in said
    assert "renew it" in said


def test_an_encrypted_key_is_refused(files: Files, tmp_path: Path) -> None:
    certificate, key = files.issue("locked", "127.0.0.1")
    plain = serialization.load_pem_private_key(Path(key).read_bytes(), None)
    Path(key).write_bytes(
        plain.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    said = refusal(files.config(certificate=certificate, private_key=key), tmp_path)
    assert "encrypted" in said
    assert "openssl pkey" in said


def test_an_authority_without_a_certificate_is_refused(files: Files, tmp_path: Path) -> None:
    assert "tls.client_ca is set" in refusal(files.config(client_ca=files.ca), tmp_path)


def test_an_authority_file_that_holds_none_is_refused(files: Files, tmp_path: Path) -> None:
    certificate, key = files.issue("fine", "127.0.0.1")
    config = files.config(certificate=certificate, private_key=key, client_ca=key)
    assert "tls.client_ca" in refusal(config, tmp_path)


@pytest.fixture(scope="module")
def by_certificate(files: Files, serve: Callable[..., Node]) -> Node:
    """A node whose callers need no key but a certificate of the right name."""
    certificate, key = files.issue("by-certificate", "127.0.0.1")
    config = files.config(certificate=certificate, private_key=key, client_ca=files.ca)
    rules = '{ "*.batch.internal" = "predict", "*.admin.internal" = "admin" }'
    config.write_text(f"{config.read_text()}\n[access]\nrequired = true\ncertificates = {rules}\n")
    return serve(config)


def answers(node: Node, files: Files, caller: tuple[str, str] | None, **headers: str) -> list[Any]:
    """What each port says to someone who wants to see what is there."""
    context = ssl.create_default_context(cafile=files.ca)
    if caller is not None:
        context.load_cert_chain(*caller)
    found: list[Any] = [
        httpx.get(url, verify=context, headers=headers).status_code
        for url in (f"{node.rest}/v2/models", f"{node.management}/api/v1/server")
    ]
    try:
        triton(node.grpc, files.ca, *(caller or ())).get_server_metadata(headers=headers)
    except InferenceServerException as error:
        return [*found, error.status()]
    return [*found, "OK"]


REFUSED = [401, 401, "StatusCode.UNAUTHENTICATED"]


def test_the_name_in_a_certificate_opens_every_port(by_certificate: Node, files: Files) -> None:
    known = files.issue("job", "job.batch.internal")
    other = files.issue("other-job", "job.web.internal")

    assert answers(by_certificate, files, known) == [200, 200, "OK"]
    assert answers(by_certificate, files, other) == REFUSED
    assert answers(by_certificate, files, None) == REFUSED
    # what is in the header goes first
    assert answers(by_certificate, files, known, authorization="Bearer bad") == REFUSED


def test_a_name_of_another_kind_opens_no_port(by_certificate: Node, files: Files) -> None:
    for name in (
        "https://x.example/;DNS=root.admin.internal",
        "https://x.example/a.admin.internal",
    ):
        assert answers(by_certificate, files, files.uri("odd", name)) == REFUSED, name


def test_a_caller_does_not_say_itself_whose_certificate_it_has(
    by_certificate: Node, files: Files
) -> None:
    root = Path(files.issue("root", "root.admin.internal")[0]).read_text()
    claimed = f'Cert="{quote(root, safe="")}"'
    stranger = files.issue("stranger", "job.web.internal")
    for caller in (None, stranger):
        said = answers(by_certificate, files, caller, **{"x-forwarded-client-cert": claimed})
        assert said == REFUSED


def test_a_caller_without_a_certificate_is_refused_where_one_is_required(
    files: Files, serve: Callable[..., Node]
) -> None:
    certificate, key = files.issue("strict", "127.0.0.1")
    config = files.config(
        certificate=certificate,
        private_key=key,
        client_ca=files.ca,
        client_certificates="required",
    )
    rules = '{ "*.batch.internal" = "predict admin" }'
    config.write_text(f"{config.read_text()}\n[access]\nrequired = true\ncertificates = {rules}\n")
    node = serve(config)
    mail = files.san("mail", x509.RFC822Name("a@job.batch.internal"))

    assert answers(node, files, files.issue("job", "job.batch.internal")) == [200, 200, "OK"]
    for odd in (mail, files.uri("odd", "https://x.example/job.batch.internal")):
        assert answers(node, files, odd) == REFUSED
    with pytest.raises(InferenceServerException, match="UNAVAILABLE"):
        triton(node.grpc, files.ca).is_server_live(client_timeout=5)
