"""A node that asks for keys, from outside: REST, gRPC, the management API and the commands."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import grpc
import onnx
import pytest
from joserfc import jwk, jwt

from augurium.client import Client
from augurium.core.errors import NotFound, PermissionDenied, Unauthenticated
from tests.support.models import simple_model
from tests.support.node import AUGURIUM, Node, clean_environment

ONES = {"shape": [1, 16], "datatype": "INT32", "data": [1] * 16}
BODY = {"inputs": [{"name": "INPUT0", **ONES}, {"name": "INPUT1", **ONES}]}
METADATA = "/inference.GRPCInferenceService/ServerMetadata"


def augurium(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [AUGURIUM, *arguments],
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class KeyedNode:
    """A node, its admin's key, and every secret it ever told."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.signer = jwk.ECKey.generate_key("P-256")
        jwks = folder / "issuer.json"
        keys = [self.signer.as_dict(private=False, kid="now")]
        jwks.write_text(json.dumps({"keys": keys}))
        self.config = folder / "augurium.toml"
        self.config.write_text(
            f'[access]\nissuer = "https://login.example"\naudience = "augurium"\njwks = "{jwks}"\n'
        )
        made = augurium("keys", "create", "admin", "--scope", "admin", "--home", str(self.home))
        assert made.returncode == 0, made.stderr
        self.admin = made.stdout.strip()
        self.secrets = [self.admin]
        self.node = self.start()

    def start(self) -> Node:
        flags = ("--access-required", "--engines", "2")
        return Node(self.home, *flags, "--config", str(self.config))

    def client(self, key: str | None = None) -> Client:
        return Client(self.node.management, key or self.admin)

    def key(self, name: str, *scopes: str, **limits: Any) -> str:
        with self.client() as client:
            self.secrets.append(client.create_key(name, scopes, **limits).key)
        return self.secrets[-1]

    def token(self, **claims: Any) -> str:
        known = {"iss": "https://login.example", "aud": "augurium", "sub": "alice"}
        merged = known | {"exp": int(time.time()) + 300, "scope": "predict read"} | claims
        header = {"alg": "ES256", "kid": "now"}
        self.secrets.append(jwt.encode(header, merged, self.signer, algorithms=["ES256"]))
        return self.secrets[-1]

    def pids(self, client: Client) -> set[int]:
        """The processes that answer on the data plane."""
        return {engine.pid for engine in client.server().engines if engine.connected}

    def rest(self, path: str, key: str, body: Any = None) -> int:
        """The status of one request on a connection of its own, so on any engine."""
        return self.node.ask(path, body, {"authorization": f"Bearer {key}"}).status

    def call(self, key: str | None) -> grpc.StatusCode:
        """The status of one gRPC call."""
        metadata = () if key is None else (("authorization", f"Bearer {key}"),)
        with grpc.insecure_channel(self.node.grpc) as channel:
            try:
                channel.unary_unary(METADATA)(b"", metadata=metadata, timeout=20)
            except grpc.RpcError as error:
                return error.code()
        return grpc.StatusCode.OK


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedNode]:
    keyed = KeyedNode(tmp_path_factory.mktemp("keyed"))
    file = keyed.home.parent / "simple.onnx"
    onnx.save(simple_model(), file)
    with keyed.client() as client:
        for name in ("fraud-eu", "churn"):
            version = client.register(str(file), name=name)
            client.deploy(name, version.version)
    yield keyed
    assert keyed.node.stop() == 0


def test_a_key_predicts_over_rest_on_every_engine(keyed: KeyedNode) -> None:
    key = keyed.key("predicting", "predict")

    for _ in range(8):
        assert keyed.rest("/v2/models/churn/infer", key, BODY) == 200
    assert keyed.call(key) is grpc.StatusCode.OK
    assert keyed.call(None) is grpc.StatusCode.UNAUTHENTICATED


def test_a_revoked_key_is_refused_by_every_engine_at_once(keyed: KeyedNode) -> None:
    key = keyed.key("short-lived", "predict")
    assert {keyed.rest("/v2/models", key) for _ in range(8)} == {200}
    with keyed.client() as client:
        client.revoke_key("short-lived")

    assert {keyed.rest("/v2/models", key) for _ in range(8)} == {401}
    assert keyed.call(key) is grpc.StatusCode.UNAUTHENTICATED
    with keyed.client(key) as client, pytest.raises(Unauthenticated):
        client.models()


def test_a_revoked_key_stays_so_when_an_engine_is_killed(keyed: KeyedNode) -> None:
    key = keyed.key("buried", "predict")
    statuses = set()
    with keyed.client() as client:
        client.revoke_key("buried")
        killed = keyed.pids(client)
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        while keyed.pids(client) & killed or not client.ready().ready:
            with contextlib.suppress(OSError, http.client.HTTPException):
                statuses.add(keyed.rest("/v2/models", key))
    statuses.add(keyed.rest("/v2/models", key))

    assert statuses == {401}
    assert keyed.call(key) is grpc.StatusCode.UNAUTHENTICATED


def test_two_credentials_in_one_call_open_nothing(keyed: KeyedNode) -> None:
    for pair in ((keyed.admin, "bad"), ("bad", keyed.admin)):
        metadata = [("authorization", f"Bearer {key}") for key in pair]
        with grpc.insecure_channel(keyed.node.grpc) as channel, pytest.raises(grpc.RpcError) as no:
            channel.unary_unary(METADATA)(b"", metadata=metadata, timeout=20)
        assert no.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_large_message_of_a_stranger_is_refused_over_grpc(keyed: KeyedNode) -> None:
    with grpc.insecure_channel(keyed.node.grpc) as channel, pytest.raises(grpc.RpcError) as no:
        channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")(bytes(5_000_000))
    assert no.value.code() is grpc.StatusCode.UNAUTHENTICATED
    assert keyed.call(keyed.admin) is grpc.StatusCode.OK


def test_a_rate_holds_over_all_engines_together(keyed: KeyedNode) -> None:
    key = keyed.key("slow", "predict", rate=0.001, burst=6)
    statuses = [keyed.rest("/v2/models", key) for _ in range(8)]
    calls = [keyed.call(key) for _ in range(2)]

    assert sorted(statuses) == [200] * 6 + [429] * 2
    assert set(calls) == {grpc.StatusCode.RESOURCE_EXHAUSTED}


def test_a_key_for_some_models_predicts_with_these_only(keyed: KeyedNode) -> None:
    key = keyed.key("fraud-team", "predict", "read", models=["fraud-*"])

    assert keyed.rest("/v2/models/fraud-eu/infer", key, BODY) == 200
    assert keyed.rest("/v2/models/churn/infer", key, BODY) == 404
    with keyed.client(key) as client:
        assert [model.name for model in client.models()] == ["fraud-eu"]
        with pytest.raises(NotFound):
            client.model("churn")
        states = [state.model for engine in client.server().engines for state in engine.states]
        assert set(states) == {"fraud-eu"}


def test_a_key_without_the_scope_changes_nothing(keyed: KeyedNode) -> None:
    key = keyed.key("reader", "read")

    with keyed.client(key) as client:
        with pytest.raises(PermissionDenied, match="deploy"):
            client.deploy("churn", 1)
        with pytest.raises(PermissionDenied, match="admin"):
            client.keys()


def test_a_token_of_the_issuer_opens_every_door(keyed: KeyedNode) -> None:
    token = keyed.token()

    assert keyed.rest("/v2/models/churn/infer", token, BODY) == 200
    assert keyed.call(token) is grpc.StatusCode.OK
    with keyed.client(token) as client:
        assert client.models()
    assert keyed.rest("/v2/models/churn/infer", keyed.token(scope="read"), BODY) == 403
    assert keyed.rest("/v2/models", keyed.token(aud="another")) == 401


def test_changes_are_ascribed_to_who_made_them(keyed: KeyedNode) -> None:
    with keyed.client(keyed.key("shipper", "deploy")) as client:
        client.set_alias("churn", "champion", 1)
    with keyed.client(keyed.token(scope="deploy")) as client:
        client.remove_alias("churn", "champion")
    with keyed.client() as client:
        entries = client.audit("churn", 2)

    assert [entry.actor for entry in entries] == ["token:alice", "shipper"]


def test_every_command_works_with_a_key_and_says_what_is_missing_without(
    keyed: KeyedNode,
) -> None:
    file = str(keyed.home.parent / "simple.onnx")
    reach = {"AUGURIUM_URL": keyed.node.management}
    row = json.dumps([{"INPUT0": [1] * 16, "INPUT1": [1] * 16}])
    commands = [
        ("status",),
        ("models",),
        ("register", file, "--name", "by-command"),
        ("versions", "by-command"),
        ("deploy", "by-command@1"),
        ("alias", "by-command@best", "1"),
        ("predict", "by-command@best", "--input", row),
        ("alias", "by-command@best", "--remove"),
        ("keys", "list"),
        ("keys", "create", "by-command", "--scope", "read", "--expires", "1h"),
        ("keys", "rotate", "by-command"),
        ("keys", "revoke", "by-command"),
    ]
    for command in commands:
        refused = augurium(*command, **reach)
        assert refused.returncode == 1, command
        assert "keys create" in refused.stderr
        done = augurium(*command, AUGURIUM_KEY=keyed.admin, **reach)
        assert done.returncode == 0, (command, done.stderr)


def test_the_folder_of_a_running_node_is_left_alone(keyed: KeyedNode) -> None:
    result = augurium("keys", "create", "more", "--scope", "read", "--home", str(keyed.home))

    assert result.returncode == 1
    assert "a node runs in" in result.stderr
    assert "AUGURIUM_KEY" in result.stderr


def test_a_flood_of_bad_keys_is_slowed_and_others_do_not_notice(keyed: KeyedNode) -> None:
    key = keyed.key("bystander", "predict")
    stop = threading.Event()
    refused: list[float] = []

    def guess() -> None:
        while not stop.is_set():
            started = time.monotonic()
            assert keyed.rest("/v2/models", "aug_live_guess") == 401
            refused.append(time.monotonic() - started)

    guessers = [threading.Thread(target=guess) for _ in range(8)]
    for guesser in guessers:
        guesser.start()
    times = []
    try:
        while len(refused) < 120:
            started = time.monotonic()
            assert keyed.rest("/v2/models", key) == 200
            times.append(time.monotonic() - started)
    finally:
        stop.set()
        for guesser in guessers:
            guesser.join()

    assert max(refused) > 0.3
    # in the end each of the others waits long
    assert median(times[-5:]) < median(refused[-40:]) / 2
    assert "credentials refused" in Path(keyed.node.log.name).read_text()


def test_keys_outlive_a_restart_and_no_secret_is_in_any_file(keyed: KeyedNode) -> None:
    key = keyed.key("lasting", "predict")
    keyed.node.ask(f"/v2/models?api_key={key}")
    assert keyed.node.stop() == 0
    keyed.node = keyed.start()

    assert keyed.rest("/v2/models/churn/infer", key, BODY) == 200
    assert keyed.rest("/v2/models", key) == 200
    files = [file for file in keyed.home.rglob("*") if file.is_file()]
    for file in [Path(keyed.node.log.name), *files]:
        content = file.read_bytes()
        for secret in keyed.secrets:
            told = secret.split("_")[3] if secret.startswith("aug_") else secret.split(".")[2]
            assert told.encode() not in content, file


def test_a_node_without_a_first_key_says_how_to_make_one(tmp_path: Path) -> None:
    ports = ("--port", "0", "--grpc-port", "0", "--control-port", "0")
    home = str(tmp_path / "home")
    result = augurium("serve", "--home", home, *ports, "--access-required")

    assert result.returncode == 1
    assert f"augurium keys create admin --scope admin --home {home}" in result.stderr


@pytest.mark.parametrize(
    ("flags", "hint"),
    [
        (("--host", "0.0.0.0"), "--access-allow-plaintext"),
        (("--host", "0.0.0.0", "--access-allow-plaintext"), "augurium keys create admin"),
    ],
)
def test_a_node_that_strangers_could_reach_does_not_start_without_keys(
    tmp_path: Path, flags: tuple[str, ...], hint: str
) -> None:
    ports = ("--port", "0", "--grpc-port", "0", "--control-port", "0")
    result = augurium("serve", "--home", str(tmp_path / "home"), *ports, *flags)

    assert result.returncode == 1
    assert hint in result.stderr


def test_a_node_on_every_address_tells_its_callers_where_they_found_it(tmp_path: Path) -> None:
    made = augurium("keys", "create", "admin", "--scope", "admin", "--home", str(tmp_path / "home"))
    flags = ("--host", "0.0.0.0", "--access-allow-plaintext", "--engines", "1")
    node = Node(tmp_path / "home", *flags)
    try:
        address = node.management.replace("0.0.0.0", "127.0.0.1")
        with Client(address, made.stdout.strip()) as client:
            assert client.server().rest_url.startswith("http://127.0.0.1:")
            assert client.server().keys_required
        assert node.ask("/v2/models").status == 401
    finally:
        assert node.stop() == 0
