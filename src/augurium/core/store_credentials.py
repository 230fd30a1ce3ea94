"""What object stores want to know of a caller, and how a lack of it is told from other failures.

Without credentials in the environment a store's library asks the machine it runs on for its role,
at an address that only clouds answer. So whoever fails there has no credentials.
"""

WANTED = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY",
}
_SIGNS = (
    "169.254.",
    "/latest/api/token",
    "/computeMetadata/",
    "performing token request",
    "Account must be specified",
)


def lacking_credentials(url: str, failure: str) -> str | None:
    """What to do when `failure`, the text of a library's error, means that there are none."""
    wanted = WANTED.get(url.partition("://")[0])
    if wanted is None or not any(sign in failure for sign in _SIGNS):
        return None
    return (
        "no usable credentials are in the environment, and this machine has no role of its own; "
        f"set {wanted}"
    )
