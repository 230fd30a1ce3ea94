"""The names of a caller's certificate, wherever the certificate comes from."""

from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from augurium.core.tls import certificate_names, names_in_certificate
from augurium.node.envoy_tls import forwarded_names


def pem(*names: x509.GeneralName) -> bytes:
    """A certificate with these subject alternative names; with none of them it has no such part."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "not-a-name")])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
    )
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def forwarded(certificate: bytes) -> bytes:
    """The header as Envoy sets it."""
    return b'Hash=ab12;Cert="' + quote(certificate.decode(), safe="").encode() + b'"'


SCORER = (x509.DNSName("scorer.example"), x509.UniformResourceIdentifier("spiffe://example/scorer"))


def test_the_names_of_a_certificate_are_its_dns_names_and_uris() -> None:
    certificate = {
        "subject": ((("commonName", "not-a-name"),),),
        "subjectAltName": (
            ("DNS", "scorer.example"),
            ("IP Address", "127.0.0.1"),
            ("email", "scorer@example"),
            ("URI", "spiffe://example/scorer"),
        ),
    }
    assert certificate_names(certificate) == ("scorer.example", "spiffe://example/scorer")
    mail = x509.RFC822Name("scorer@example")
    assert names_in_certificate(pem(*SCORER, mail)) == certificate_names(certificate)


def test_a_caller_without_a_certificate_has_no_names() -> None:
    assert certificate_names(None) == ()
    assert certificate_names({}) == ()


def test_a_certificate_that_cannot_be_read_or_has_no_names_gives_none() -> None:
    assert names_in_certificate(b"garbage") == ()
    assert names_in_certificate(pem()) == ()


def test_a_name_of_one_kind_does_not_pass_for_the_other() -> None:
    assert certificate_names({"subjectAltName": (("DNS", "spiffe://a"), ("URI", "a.b"))}) == ()
    odd = pem(x509.DNSName("spiffe://a"), x509.UniformResourceIdentifier("a.b"))
    assert names_in_certificate(odd) == ()


def test_envoy_forwards_the_certificate() -> None:
    assert forwarded_names(forwarded(pem(*SCORER))) == ("scorer.example", "spiffe://example/scorer")


def test_a_name_with_separators_in_it_stays_one_name() -> None:
    hostile = "https://x.example/;DNS=root.example,URI=y"
    names = forwarded_names(forwarded(pem(x509.UniformResourceIdentifier(hostile))))

    assert names == (hostile,)


def test_names_that_envoy_would_put_there_unquoted_are_not_read() -> None:
    assert forwarded_names(b"Hash=ab12;URI=spiffe://example/scorer;DNS=scorer.example") == ()


def test_no_header_means_no_names() -> None:
    assert forwarded_names(None) == ()
    assert forwarded_names(b"") == ()
