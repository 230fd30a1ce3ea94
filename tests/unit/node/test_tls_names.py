"""The names of a caller's certificate."""

from augurium.core.tls import certificate_names


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


def test_a_caller_without_a_certificate_has_no_names() -> None:
    assert certificate_names(None) == ()
    assert certificate_names({}) == ()


def test_a_name_of_one_kind_does_not_pass_for_the_other() -> None:
    assert certificate_names({"subjectAltName": (("DNS", "spiffe://a"), ("URI", "a.b"))}) == ()
