"""Multipart uploads that were begun and never ended: listed and cancelled, straight over S3's API.

obstore cannot list them. Requests are signed as AWS Signature Version 4 says. Source: Amazon S3 API
reference, ListMultipartUploads and AbortMultipartUpload; "Authenticating requests (Signature
Version 4)".
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from urllib.parse import quote
from xml.etree import ElementTree

import httpx

from augurium.core.errors import NotReady

EMPTY = hashlib.sha256(b"").hexdigest()
MAX_ANSWER_BYTES = 4 * 1024 * 1024
NO_CONTENT = 204
NOT_FOUND = 404
# how some servers say that a bucket has no unfinished uploads at all
NO_UPLOADS = b"<Code>NoSuchUpload</Code>"
_MOMENT = "%Y%m%dT%H%M%SZ"


class S3Place(NamedTuple):
    """A bucket: its URL, as `https://host` and the path of the bucket, and how to sign for it."""

    origin: str
    bucket_path: str
    region: str
    access_key: str
    secret_key: str
    token: str
    prefix: str


class PendingUpload(NamedTuple):
    key: str
    upload_id: str
    begun_at: datetime


class PendingUploads:
    """The unfinished uploads below a prefix. Raises NotReady when the store does not answer."""

    def __init__(self, place: S3Place, timeout: httpx.Timeout) -> None:
        self._place = place
        self._timeout = timeout

    def cancel_older_than(self, age: timedelta) -> int:
        """Cancels uploads that were begun so long ago, and says how many."""
        begun_before = datetime.now(UTC) - age
        old = [upload for upload in self._all() if upload.begun_at < begun_before]
        return sum(self._cancel(upload) for upload in old)

    def _all(self) -> Iterator[PendingUpload]:
        marker: dict[str, str] = {}
        while True:
            query = {"uploads": "", "prefix": self._place.prefix, **marker}
            told = self._ask("GET", "", query)
            if told.status_code == NOT_FOUND and NO_UPLOADS in told.content:
                return
            answer = _without_namespaces(self._checked(told).content)
            for found in answer.iter("Upload"):
                yield _upload(found)
            if answer.findtext("IsTruncated") != "true":
                return
            marker = {
                "key-marker": answer.findtext("NextKeyMarker") or "",
                "upload-id-marker": answer.findtext("NextUploadIdMarker") or "",
            }

    def _cancel(self, upload: PendingUpload) -> bool:
        answer = self._ask("DELETE", upload.key, {"uploadId": upload.upload_id})
        return self._checked(answer).status_code == NO_CONTENT

    def _ask(self, method: str, key: str, query: Mapping[str, str]) -> httpx.Response:
        path = f"{self._place.bucket_path}/{quote(key, safe='/-_.~')}"
        encoded = "&".join(
            f"{quote(name, safe='-_.~')}={quote(query[name], safe='-_.~')}"
            for name in sorted(query)
        )
        url = f"{self._place.origin}{path}?{encoded}"
        headers = self._signed(method, path, encoded, datetime.now(UTC))
        try:
            answer = httpx.request(
                method, url, headers=headers, timeout=self._timeout, trust_env=False
            )
        except httpx.TransportError as error:
            raise NotReady(f"{self._place.origin} does not answer; try again later") from error
        return answer

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        if not answer.is_success or len(answer.content) > MAX_ANSWER_BYTES:
            raise NotReady(f"{self._place.origin} answered {answer.status_code}")
        return answer

    def _signed(self, method: str, path: str, query: str, now: datetime) -> dict[str, str]:
        place, moment = self._place, now.strftime(_MOMENT)
        headers = {
            "host": place.origin.partition("://")[2],
            "x-amz-content-sha256": EMPTY,
            "x-amz-date": moment,
        }
        if place.token:
            headers["x-amz-security-token"] = place.token
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        request = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{EMPTY}"
        scope = f"{moment[:8]}/{place.region}/s3/aws4_request"
        text = "\n".join(
            ("AWS4-HMAC-SHA256", moment, scope, hashlib.sha256(request.encode()).hexdigest())
        )
        key = f"AWS4{place.secret_key}".encode()
        for part in (moment[:8], place.region, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, text.encode(), "sha256").hex()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={place.access_key}/{scope}, SignedHeaders={names}, "
            f"Signature={signature}"
        )
        return headers


def _without_namespaces(content: bytes) -> ElementTree.Element:
    try:
        # Expat expands no external entities; the answer is bounded, and is of a store with our keys
        root = ElementTree.fromstring(content)  # noqa: S314
    except ElementTree.ParseError as error:
        raise NotReady("the object store answered something other than XML") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def _upload(found: ElementTree.Element) -> PendingUpload:
    begun = datetime.fromisoformat(found.findtext("Initiated") or "9999-12-31T00:00:00+00:00")
    return PendingUpload(found.findtext("Key") or "", found.findtext("UploadId") or "", begun)
