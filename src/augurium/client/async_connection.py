"""The connection of tasks to the management API."""

from collections.abc import Mapping
from typing import Any, TypeVar

import httpx

from augurium.client.connection import HttpOptions, decoded, origin
from augurium.client.deadline import Deadline
from augurium.client.errors import ClientClosed, error_of_response, error_of_transport

Result = TypeVar("Result")


class AsyncConnection:
    """A pool of HTTP connections with one key, for one event loop."""

    def __init__(self, options: HttpOptions) -> None:
        self.url = options.url
        self._http = httpx.AsyncClient(**options.arguments)

    async def get(
        self, url: str, result: type[Result], deadline: Deadline, accepted: int = 200
    ) -> Result:
        """The JSON answer at a URL, read as a `result`; `accepted` is a status that has one too.

        Raises as `Connection.send`, and the error that an unsuccessful answer stands for.
        """
        response = await self._sent("GET", url, deadline)
        if not response.is_success and response.status_code != accepted:
            raise error_of_response(response)
        return decoded(response, result)

    async def call(
        self,
        method: str,
        url: str,
        result: type[Result],
        deadline: Deadline,
        body: Mapping[str, Any] | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> Result:
        """Sends `body` as JSON and reads the answer as a `result`. Raises as `get`."""
        response = await self._sent(method, url, deadline, json=body, params=parameters)
        if not response.is_success:
            raise error_of_response(response)
        return decoded(response, result)

    async def post(
        self,
        url: str,
        result: type[Result],
        content: bytes,
        headers: Mapping[str, str],
        deadline: Deadline,
    ) -> Result:
        """Sends bytes, and reads the JSON answer as a `result`. Raises as `get`."""
        response = await self._sent(
            method="POST", url=url, deadline=deadline, content=content, headers=dict(headers)
        )
        if not response.is_success:
            raise error_of_response(response)
        return decoded(response, result)

    async def _sent(
        self, method: str, url: str, deadline: Deadline, **content: Any
    ) -> httpx.Response:
        if self._http.is_closed:
            raise ClientClosed
        left_s = deadline.check(origin(url))
        try:
            return await self._http.request(method, url, timeout=left_s, **content)
        except httpx.TransportError as error:
            raise error_of_transport(error, origin(url), deadline.total_s) from error

    async def close(self) -> None:
        """Closes all connections."""
        await self._http.aclose()
