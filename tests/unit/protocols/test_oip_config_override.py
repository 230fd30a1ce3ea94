import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from augurium.core.errors import InvalidArgument
from augurium.protocols.oip_config_override import config_override
from augurium.serving.questions import BatchingChange

CURRENT: dict[str, Any] = {
    "name": "simple",
    "platform": "onnxruntime_onnx",
    "max_batch_size": 8,
    "version_policy": {"specific": {"versions": [2]}},
    "input": [{"name": "INPUT0", "data_type": "TYPE_INT32", "dims": [16]}],
    "instance_group": [{"name": "simple_0", "kind": "KIND_CPU", "count": 1}],
    "response_cache": {"enable": False},
    "dynamic_batching": {
        "max_queue_delay_microseconds": 5000,
        "default_queue_policy": {"max_queue_size": 100},
    },
}


def read(config: Any, current: dict[str, Any] | None = CURRENT) -> BatchingChange:
    return config_override("simple", json.dumps(config), current).batching


@pytest.mark.parametrize("size", [16, "16"])
def test_numbers_may_be_texts(size: object) -> None:
    assert read({"max_batch_size": size}) == BatchingChange(max_batch_size=16)


def test_what_batches_can_be_set() -> None:
    queue = {"max_queue_delay_microseconds": "250", "default_queue_policy": {"max_queue_size": 7}}

    assert read({"dynamic_batching": queue}) == BatchingChange(None, 0.25, 7)


def test_the_other_names_that_protobuf_takes_count_too() -> None:
    config = {"maxBatchSize": 4, "dynamicBatching": {"maxQueueDelayMicroseconds": 0}}

    assert read(config) == BatchingChange(4, 0.0, None)


def test_no_delay_is_a_delay_that_was_asked_for() -> None:
    assert read({"dynamic_batching": {"max_queue_delay_microseconds": 0}}).max_queue_delay_ms == 0


def test_what_is_left_out_or_null_stays() -> None:
    assert read({"max_batch_size": None, "dynamic_batching": {}}).empty


def test_the_configuration_as_it_is_may_be_sent_back() -> None:
    override = config_override("simple", json.dumps(CURRENT), CURRENT)

    assert override.versions == (2,)
    assert override.batching == BatchingChange(8, 5.0, 100)


def test_a_version_that_takes_whole_tensors_may_say_so() -> None:
    assert read({"max_batch_size": 0}, {**CURRENT, "max_batch_size": 0}).empty


def test_versions_may_be_named() -> None:
    policy = {"version_policy": {"specific": {"versions": ["3", 1]}}}

    assert config_override("simple", json.dumps(policy), CURRENT).versions == (1, 3)


def test_the_latest_version_is_the_newest() -> None:
    policy = {"version_policy": {"latest": {"num_versions": 1}}}

    assert config_override("simple", json.dumps(policy), CURRENT).versions == ()


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"foo": 1}, "'foo'"),
        ({"sequence_batching": {}}, "'sequence_batching'"),
        ({"dynamic_batching": {"foo": 1}}, "'dynamic_batching.foo'"),
        ({"dynamic_batching": {"preferred_batch_size": [4]}}, "preferred_batch_size"),
        ({"dynamic_batching": {"default_queue_policy": {"timeout_action": 1}}}, "timeout_action"),
        ({"platform": "tensorrt_plan"}, "'platform'"),
        ({"input": []}, None),
        ({"input": [{"name": "x"}]}, "'input'"),
        ({"instance_group": [{"count": 4}]}, "'instance_group'"),
        ({"response_cache": {"enable": True}}, "'response_cache'"),
        ({"model_transaction_policy": {"decoupled": True}}, "'model_transaction_policy'"),
        ({"parameters": {"a": {"string_value": "b"}}}, "'parameters'"),
        ({"name": "other"}, "'other'"),
        ({"version_policy": {"all": {}}}, "version_policy"),
        ({"version_policy": {"latest": {"num_versions": 2}}}, "version_policy"),
        ({"version_policy": []}, "version_policy"),
        ({"dynamic_batching": []}, "dynamic_batching"),
        ({"max_batch_size": 0}, "max_batch_size"),
        ({"max_batch_size": -1}, "max_batch_size"),
        ({"max_batch_size": "x"}, "max_batch_size"),
        ({"max_batch_size": 2**40}, "max_batch_size"),
        ({"max_batch_size": [1]}, "max_batch_size"),
        ({"dynamic_batching": {"max_queue_delay_microseconds": 10_001}}, "max_queue_delay"),
        ({"dynamic_batching": {"default_queue_policy": {"max_queue_size": 0}}}, "max_queue_size"),
    ],
)
def test_what_cannot_be_set_is_named(config: Any, named: str | None) -> None:
    if named is None:
        assert read(config).empty
        return
    with pytest.raises(InvalidArgument) as refused:
        read(config)
    assert named in str(refused.value)
    assert "inference." not in str(refused.value)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "1", '"x"', '{"max_batch_size": 1e400}', "[" * 100_000]
)
def test_what_is_no_object_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument):
        config_override("simple", text, CURRENT)


KEYS = st.sampled_from(
    [
        "name",
        "max_batch_size",
        "dynamic_batching",
        "max_queue_delay_microseconds",
        "versions",
        "version_policy",
        "specific",
        "default_queue_policy",
        "max_queue_size",
        "input",
        "kind",
        "parameters",
        "instance_group",
        "maxBatchSize",
        "[x.y]",
        "@type",
        "x",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, VALUES, max_size=5), st.sampled_from([None, CURRENT]))
def test_whatever_is_sent_is_read_or_refused(
    config: dict[str, Any], current: dict[str, Any] | None
) -> None:
    try:
        found = read(config, current)
    except InvalidArgument:
        return
    assert found.max_batch_size is None or found.max_batch_size > 0
