"""House rule: every method of the client is explained, in its docstring and in its page."""

import inspect
from pathlib import Path

import pytest

from augurium.client import Client
from augurium.client.prediction_call import CallOptions
from augurium.client.registration import VersionDetails

PAGE = (Path(__file__).parents[3] / "docs/reference/client.md").read_text("utf-8")
METHODS = [name for name, _ in inspect.getmembers(Client, inspect.isfunction) if name[0] != "_"]


@pytest.mark.parametrize("name", [name for name in METHODS if name != "close"])
def test_every_method_is_explained(name: str) -> None:
    assert inspect.getdoc(getattr(Client, name))
    assert f"`{name}(" in PAGE


@pytest.mark.parametrize("name", [*VersionDetails.__annotations__, *CallOptions.__annotations__])
def test_every_option_is_explained(name: str) -> None:
    assert f"`{name}`" in PAGE
