"""The configuration that may come with a load: what of it changes how the model batches.

Source: Triton, "Model Repository Extension", parameter `config`: a `ModelConfig` in the JSON form
of protobuf, in which integers may be texts.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from google.protobuf.json_format import ParseDict, ParseError

from augurium.core.errors import InvalidArgument
from augurium.protocols.generated.inference_pb2 import ModelConfig
from augurium.protocols.json_depth import UNREADABLE, check_depth
from augurium.protocols.oip_config import MICROSECONDS_PER_MS, Config
from augurium.serving.questions import BatchingChange

MAX_DEPTH = 32
LONGEST_DELAY_US = 10_000
LARGEST = 2**31 - 1
SETTABLE = frozenset({"name", "version_policy", "max_batch_size", "dynamic_batching"})
BATCHING_KEYS = frozenset({"max_queue_delay_microseconds", "default_queue_policy"})


_unknown_key = re.compile(r'has no field named "([^"]*)" at "([^"]*)"')


class ConfigOverride(NamedTuple):
    """Which versions to load, none for the newest, and how they batch."""

    versions: tuple[int, ...]
    batching: BatchingChange


def config_override(model: str, text: str, current: Config | None) -> ConfigOverride:
    """Reads the configuration in a load of `model`.

    `current` is what the model's configuration says now, if it is loaded: what equals it may be
    given. Raises InvalidArgument for what cannot be read, for unknown keys, and for keys that a
    load cannot change.
    """
    raw = _object(text)
    config = _parsed(raw)
    _check_unchanged(config, current)
    if config.name and config.name != model:
        raise InvalidArgument(f"its config is that of model '{config.name[:128]}'")
    return ConfigOverride(_versions(config, raw), _batching(config, raw, current))


def _object(text: str) -> dict[str, Any]:
    content = text.encode()
    check_depth(content, MAX_DEPTH)
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except UNREADABLE as error:
        raise InvalidArgument(f"its config is not a JSON object: {error}") from error


def _parsed(raw: dict[str, Any]) -> ModelConfig:
    try:
        return ParseDict(raw, ModelConfig(), max_recursion_depth=MAX_DEPTH)
    except (ParseError, TypeError, ValueError, AttributeError) as error:
        raise InvalidArgument(_reason(str(error))) from error


def _reason(text: str) -> str:
    """What protobuf says of a configuration, without the names of its messages."""
    unknown = _unknown_key.search(text)
    if unknown is None:
        return f"its config cannot be read: {text.partition(chr(10))[0][:300]}"
    where = unknown[2].partition(".")[2]
    name = f"{where}.{unknown[1]}" if where else unknown[1]
    return f"config key '{name[:128]}' is not known here; leave it out"


def _check_unchanged(config: ModelConfig, current: Config | None) -> None:
    now = _parsed(current or {})
    for field, value in config.ListFields():
        if field.name in SETTABLE or value == getattr(now, field.name):
            continue
        raise InvalidArgument(
            f"config key '{field.name}' cannot be changed by a load; leave it out, or register"
            " another version with `augurium register`"
        )
    for field, _ in config.dynamic_batching.ListFields():
        if field.name not in BATCHING_KEYS:
            raise InvalidArgument(f"config key 'dynamic_batching.{field.name}' is not supported")
    for field, _ in config.dynamic_batching.default_queue_policy.ListFields():
        if field.name != "max_queue_size":
            raise InvalidArgument(
                f"config key 'dynamic_batching.default_queue_policy.{field.name}' is not supported"
            )


def _versions(config: ModelConfig, raw: Mapping[str, Any]) -> tuple[int, ...]:
    _inner(raw, "version_policy", "versionPolicy")
    policy = config.version_policy
    chosen = policy.WhichOneof("policy_choice")
    if chosen == "all" or policy.latest.num_versions > 1:
        raise InvalidArgument(
            'config key \'version_policy\' must be {"latest": {"num_versions": 1}} or name the'
            ' versions, as in {"specific": {"versions": [1, 2]}}'
        )
    return tuple(sorted(set(policy.specific.versions)))


def _batching(
    config: ModelConfig, raw: Mapping[str, Any], current: Config | None
) -> BatchingChange:
    queue = _inner(raw, "dynamic_batching", "dynamicBatching")
    policy = _inner(queue, "default_queue_policy", "defaultQueuePolicy")
    size = config.max_batch_size if _has(raw, "max_batch_size", "maxBatchSize") else None
    if size == 0 and current is not None and current["max_batch_size"] == 0:
        size = None
    delay_us = None
    if _has(queue, "max_queue_delay_microseconds", "maxQueueDelayMicroseconds"):
        delay_us = config.dynamic_batching.max_queue_delay_microseconds
    rows = None
    if _has(policy, "max_queue_size", "maxQueueSize"):
        rows = config.dynamic_batching.default_queue_policy.max_queue_size
    _check_range("max_batch_size", size, 1, LARGEST)
    _check_range("max_queue_delay_microseconds", delay_us, 0, LONGEST_DELAY_US)
    _check_range("max_queue_size", rows, 1, LARGEST)
    return BatchingChange(size, None if delay_us is None else delay_us / MICROSECONDS_PER_MS, rows)


def _check_range(key: str, value: int | None, least: int, most: int) -> None:
    if value is not None and not least <= value <= most:
        raise InvalidArgument(f"config key '{key}' must be {least} to {most}, got {value}")


def _has(raw: Mapping[str, Any], name: str, camel: str) -> bool:
    """Whether a key is given, in either form that protobuf takes; null is as if it were not."""
    return raw.get(name) is not None or raw.get(camel) is not None


def _inner(raw: Mapping[str, Any], name: str, camel: str) -> Mapping[str, Any]:
    found = raw.get(name, raw.get(camel))
    if found is not None and not isinstance(found, dict):
        raise InvalidArgument(f"config key '{name}' must be an object")
    return found or {}
