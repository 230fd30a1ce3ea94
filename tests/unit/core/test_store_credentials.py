"""How a lack of credentials is told from other failures of an object store."""

import pytest

from augurium.core.store_credentials import lacking_credentials


@pytest.mark.parametrize(
    ("url", "failure", "wanted"),
    [
        (
            "s3://bucket/key",
            "Generic S3 error: Error performing PUT http://169.254.169.254/latest/api/token in 2ms",
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
        ),
        (
            "gs://bucket/key",
            "Generic GCS error: Error performing token request: Error performing GET "
            "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default",
            "GOOGLE_APPLICATION_CREDENTIALS",
        ),
        (
            "az://container",
            "Generic MicrosoftAzure error: Account must be specified",
            "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
        ),
    ],
)
def test_a_store_without_credentials_says_which_variables_to_set(
    url: str, failure: str, wanted: str
) -> None:
    assert (lacking_credentials(url, failure) or "").endswith(f"set {wanted}")


def test_other_failures_are_no_lack_of_credentials() -> None:
    assert lacking_credentials("s3://bucket", "Server returned non-2xx status code: 503") is None
    assert lacking_credentials("https://host", "Account must be specified") is None
