from augurium.core.tls import certificate_names
from augurium.node.envoy_tls import forwarded_names


def test_the_names_of_a_certificate_are_its_dns_names_and_uris() -> None:
    certificate = {
        "subject": ((("commonName", "not-a-name"),),),
        "subjectAltName": (
            ("DNS", "scorer.example"),
            ("IP Address", "127.0.0.1"),
            ("URI", "spiffe://example/scorer"),
        ),
    }
    assert certificate_names(certificate) == ("scorer.example", "spiffe://example/scorer")


def test_a_caller_without_a_certificate_has_no_names() -> None:
    assert certificate_names(None) == ()
    assert certificate_names({}) == ()


def test_envoy_forwards_the_names_of_a_certificate() -> None:
    header = b"Hash=ab12;URI=spiffe://example/scorer;DNS=scorer.example;DNS=other.example"
    assert forwarded_names(header) == (
        "spiffe://example/scorer",
        "scorer.example",
        "other.example",
    )


def test_a_quoted_name_is_taken_without_its_quotes() -> None:
    assert forwarded_names(b'URI="spiffe://example/a;b,c";DNS=x') == ("spiffe://example/a;b,c", "x")


def test_no_header_means_no_names() -> None:
    assert forwarded_names(None) == ()
    assert forwarded_names(b"") == ()
