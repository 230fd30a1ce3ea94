"""The last child of an import: where it fails there is a note, and the import goes on."""

from pathlib import Path

import numpy as np
import pytest

from augurium.core.settings import ImportSettings
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.importing.description import describe
from augurium.importing.job import Confinement, ProfileJob
from augurium.importing.stages import Stages
from augurium.statistics.profiles import read_profile

SIGNATURE = Signature(
    (TensorSpec("x", "FP32", (-1,)),),
    (TensorSpec("y", "FP32", (-1,)),),
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    file = tmp_path / "table.csv"
    file.write_text("x\n" + "\n".join(map(str, np.arange(100))))
    return file


def order(folder: Path, table: Path) -> ProfileJob:
    return ProfileJob(
        table=str(table),
        model=str(folder / "model.onnx"),
        runtime="onnx",
        options={},
        signature=SIGNATURE,
        seconds=1.0,
        confinement=Confinement(file_bytes=10**9, cpu_s=600, readable=(str(table),)),
    )


def test_a_model_that_does_not_load_leaves_the_features(tmp_path: Path, table: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"no model")
    stages = Stages(tmp_path, ImportSettings(timeout_s=600))

    found = describe(stages, tmp_path, order(tmp_path, table))

    assert found.profile is not None
    profile = read_profile(found.profile.read_bytes())
    assert (profile.rows, profile.features[0].max, profile.outputs) == (100, 99.0, ())
    assert "no profile of the outputs" in found.report["notes"][0]


def test_a_table_that_is_gone_leaves_a_note(tmp_path: Path) -> None:
    stages = Stages(tmp_path, ImportSettings(timeout_s=600))

    found = describe(stages, tmp_path, order(tmp_path, tmp_path / "nowhere.csv"))

    assert (found.profile, found.examples) == (None, ())
    assert found.report["notes"][0].startswith("no reference profile: ")


def test_an_import_without_time_left_leaves_a_note(tmp_path: Path, table: Path) -> None:
    stages = Stages(tmp_path, ImportSettings(timeout_s=0.01))

    found = describe(stages, tmp_path, order(tmp_path, table))

    assert found.report == {"notes": ["no reference profile: timed out"]}
