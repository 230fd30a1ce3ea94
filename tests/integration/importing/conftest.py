"""What tests of imports share: importing in real child processes, and asking what came out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest

from augurium.client.packaging import package
from augurium.core.settings import ImportSettings
from augurium.importing.importer import import_model
from augurium.importing.result import ImportRequest, ImportResult
from augurium.runtimes.runtime import load

Answers = dict[str, np.ndarray[Any, Any]]
LIMITS = ImportSettings(timeout_s=600)


class Import(Protocol):
    """Imports a file's content as a server does."""

    def __call__(
        self,
        content: bytes,
        filename: str = ...,
        *,
        framework: str | None = ...,
        table: bytes | None = ...,
        limits: ImportSettings = ...,
        engine: str | None = ...,
        prepacking: str | None = ...,
    ) -> ImportResult: ...


@pytest.fixture
def import_content(tmp_path: Path) -> Import:
    return importing_in(lambda: tmp_path)


@pytest.fixture(scope="session")
def import_once(tmp_path_factory: pytest.TempPathFactory) -> Import:
    """For imports that several tests look at: what came out of them stays."""
    return importing_in(lambda: tmp_path_factory.mktemp("once"))


def importing_in(place: Callable[[], Path]) -> Import:
    """Imports, each in the folder that `place` gives."""

    def run(
        content: bytes,
        filename: str = "model",
        *,
        framework: str | None = None,
        table: bytes | None = None,
        limits: ImportSettings = LIMITS,
        engine: str | None = None,
        prepacking: str | None = None,
    ) -> ImportResult:
        root = place()
        file, rows, folder = root / "upload", root / "table.json", root / "work"
        file.write_bytes(content)
        rows.write_bytes(table or b"")
        folder.mkdir()
        request = ImportRequest(
            file=file,
            filename=filename,
            framework=framework,
            table=rows if table else None,
            allow_code=limits.allow_code,
            engine=engine,
            prepacking=prepacking,
        )
        return import_model(request, folder, limits, lambda stage, share: None)

    return run


@pytest.fixture
def import_packaged(import_content: Import) -> Callable[..., ImportResult]:
    """Packages a model in memory as a client does, and imports it."""

    def run(model: object, data: object = None, engine: str | None = None) -> ImportResult:
        packaged = package(model, data)
        return import_content(
            packaged.content,
            packaged.filename,
            framework=packaged.framework,
            table=packaged.table,
            engine=engine,
        )

    return run


@pytest.fixture
def ask() -> Callable[[ImportResult, Mapping[str, Any]], Answers]:
    """Answers of the servable file, loaded as an engine loads it."""

    def run(result: ImportResult, inputs: Mapping[str, Any]) -> Answers:
        names = [spec.name for spec in result.signature.outputs]
        model = load(result.runtime, result.servable, result.options, result.weights)
        return dict(zip(names, model.run(inputs, names), strict=True))

    return run
