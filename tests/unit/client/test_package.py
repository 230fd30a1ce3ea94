"""What importing costs: nothing that is not asked for."""

import subprocess
import sys

import augurium
import augurium.client


def loaded_after(statement: str) -> set[str]:
    """The modules of a new interpreter after one statement."""
    program = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_the_clients_are_at_the_top() -> None:
    assert augurium.Client is augurium.client.Client
    assert augurium.AsyncClient is augurium.client.AsyncClient


def test_a_server_does_not_load_its_client() -> None:
    assert "augurium.client" not in loaded_after("import augurium")


def test_a_client_loads_neither_grpc_nor_tables_before_they_are_used() -> None:
    loaded = loaded_after("from augurium import Client; Client().close()")

    assert "augurium.client.client" in loaded
    assert not loaded & {"grpc", "pyarrow", "pandas"}
