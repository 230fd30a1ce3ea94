"""From a table of training data to examples that predict and a profile that can be shown."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.models import Mixed
from tests.support.node import AUGURIUM, Node, clean_environment


@pytest.fixture
def own(start: Callable[..., Node], tmp_path: Path) -> Node:
    return start(tmp_path / "home", "--engines", "1")


def test_a_frame_leaves_examples_a_profile_and_its_digest(
    own: Node, mixed: Mixed, tmp_path: Path
) -> None:
    stages: dict[str, None] = {}
    with own.client() as client:
        version = client.register(
            mixed.model,
            name="loans",
            data=mixed.table,
            card="# Loans",
            progress=lambda stage, share: stages.setdefault(stage),
        )
        profile = client.profile("loans", version.version)
        client.deploy("loans", version.version)
        answers = client.predict("loans", list(version.examples)).predictions

    assert {"uploading", "uploading the training data"} <= set(stages)
    assert (version.card, len(version.lineage.dataset_digest)) == ("# Loans", 64)
    assert len(answers) == len(version.examples) == 5
    assert any(None in example.values() for example in version.examples)
    features = {feature.bins.name: feature for feature in profile.features}
    assert set(features) == set(mixed.table.columns)
    assert features["city"].n_missing == mixed.table["city"].isna().sum()
    assert dict(features["city"].labelled_counts)["rome"] == (mixed.table["city"] == "rome").sum()
    assert features["income"].moments.mean == pytest.approx(mixed.table["income"].mean())
    outputs = {output.bins.name: output for output in profile.outputs}
    labels, counts = np.unique(mixed.model.predict(mixed.table), return_counts=True)
    found = dict(outputs["label"].labelled_counts)
    assert {label: found[label] for label in labels} == dict(zip(labels, counts, strict=True))

    shown = subprocess.run(
        [AUGURIUM, "versions", "loans@1", "--profile"],
        env={**clean_environment(), "AUGURIUM_URL": own.management},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert {"city", "age", "income", "label"} <= set(shown.split())
