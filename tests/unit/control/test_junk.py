import json
from urllib.parse import quote

import httpx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from augurium.registry.memory_registry import MemoryRegistry

API = "/api/v1"
DIGEST = "0" * 64


JUNK_SEGMENTS = st.text(min_size=1, max_size=40) | st.sampled_from(
    ["..", "%2e%2e%2fetc", "1", "0", "-1", "iris", "stats", "\x00", "é", "a" * 5000]
)
JUNK_BODIES = st.one_of(
    st.binary(max_size=200),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["version", "default", "artifact", "filename", "tags", "x"]), inner
            )
        ),
        max_leaves=5,
    ).map(lambda tree: json.dumps(tree).encode()),
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(segment=JUNK_SEGMENTS, body=JUNK_BODIES, media=st.sampled_from(["application/json", "x/y"]))
async def test_junk_on_any_route_is_refused_and_harms_nothing(
    segment: str, body: bytes, media: str, api: httpx.AsyncClient, registry: MemoryRegistry
) -> None:
    paths = (await api.get("/openapi.json")).json()["paths"]
    for path, operations in paths.items():
        for method in operations:
            url = _filled(path, quote(segment, safe="%"))
            reply = await api.request(method, url, content=body, headers={"content-type": media})
            if reply.status_code >= 400 and not path.endswith("/ready"):
                assert reply.status_code < 500, (method, url, reply.text)
                assert reply.json().keys() == {"error", "kind"}
    assert registry.models() == []
    assert (await api.get("/api/v1/live")).status_code == 200


def _filled(path: str, segment: str) -> str:
    for name in ("model", "version", "alias", "import_id"):
        path = path.replace(f"{{{name}}}", segment)
    return path
