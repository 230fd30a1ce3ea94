"""House rule: every method of the client is explained, in its docstring and in its page."""

import inspect
from pathlib import Path

import pytest

from augurium import AsyncClient, Client, Retries
from augurium.client.batch_run import BatchRun
from augurium.client.batch_schedule_calls import ScheduleOptions
from augurium.client.batch_spec import BatchOptions
from augurium.client.prediction_call import CallOptions
from augurium.client.registration import VersionDetails
from augurium.client.transport_options import TransportOptions

PAGE = (Path(__file__).parents[3] / "docs/reference/client.md").read_text("utf-8")
ASYNC = [name for name, _ in inspect.getmembers(AsyncClient, inspect.isfunction) if name[0] != "_"]
METHODS = [name for name, _ in inspect.getmembers(Client, inspect.isfunction) if name[0] != "_"]


@pytest.mark.parametrize("name", [name for name in METHODS if name != "close"])
def test_every_method_is_explained(name: str) -> None:
    assert inspect.getdoc(getattr(Client, name))
    assert f"`{name}(" in PAGE


@pytest.mark.parametrize("name", ASYNC)
def test_every_method_for_tasks_is_explained(name: str) -> None:
    assert inspect.getdoc(getattr(AsyncClient, name))
    assert f"`{name}(" in PAGE


OPTIONS = (VersionDetails, BatchOptions, ScheduleOptions, CallOptions, TransportOptions, Retries)


@pytest.mark.parametrize("name", [name for kind in OPTIONS for name in kind.__annotations__])
def test_every_option_is_explained(name: str) -> None:
    assert f"`{name}`" in PAGE


RUN = [name for name, _ in inspect.getmembers(BatchRun, inspect.isfunction) if name[0] != "_"]


@pytest.mark.parametrize("name", RUN)
def test_every_method_of_a_batch_run_is_explained(name: str) -> None:
    assert inspect.getdoc(getattr(BatchRun, name))
    assert f"`{name}(" in PAGE
