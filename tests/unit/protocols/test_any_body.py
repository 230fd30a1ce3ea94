"""Whatever JSON or text a caller sends: a request that fits the signature, or a clear refusal."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from augurium.core.errors import InvalidArgument
from augurium.core.inference import Instances
from augurium.core.signature import Signature
from augurium.protocols.columns import tensors_of_inputs
from augurium.protocols.mlflow_body import body_of, fields_of
from augurium.protocols.mlflow_csv import rows_of_csv
from augurium.protocols.tables import rows_of_records
from augurium.protocols.v1_body import examples_body, predict_body
from tests.support.bodies import encoded, given_to_model, names, signatures, values

records = st.lists(st.dictionaries(names, values, max_size=4), min_size=1, max_size=4)
forms = st.sampled_from(
    ["dataframe_split", "dataframe_records", "instances", "inputs", "params", "prompt", "messages"]
)
soup = st.binary(max_size=60) | st.text('{}[]":,NaInfity-1e.\\', max_size=40).map(str.encode)
almost_csv = st.text("a,b\n\"'1.e-+NaTrueflsity", max_size=60) | st.text(max_size=30)


@contextmanager
def refused_at_most() -> Iterator[None]:
    """Nothing but a refusal of what was sent may come out."""
    with suppress(InvalidArgument):
        yield


@given(soup)
def test_bytes(content: bytes) -> None:
    for read in (predict_body, examples_body, fields_of):
        with refused_at_most():
            read(content, 20)


@given(st.lists(values, max_size=4), signatures)
def test_instances(rows: list[Any], signature: Signature) -> None:
    with refused_at_most():
        given_to_model(Instances(rows), signature)


@given(values, signatures)
def test_columns(inputs: Any, signature: Signature) -> None:
    with refused_at_most():
        given_to_model(tensors_of_inputs(inputs, signature), signature)


@given(records, signatures)
def test_examples(rows: list[dict[str, Any]], signature: Signature) -> None:
    with refused_at_most():
        given_to_model(rows_of_records(rows, signature), signature)


@given(st.dictionaries(forms, values, max_size=2), signatures)
def test_invocations(content: dict[str, Any], signature: Signature) -> None:
    with refused_at_most():
        fields = fields_of(encoded(content), 100)
        given_to_model(body_of(fields, signature).inputs, signature)


@given(almost_csv, signatures)
def test_csv(content: str, signature: Signature) -> None:
    with refused_at_most():
        given_to_model(rows_of_csv(content.encode("utf-8", "replace"), signature), signature)
