"""A registry as a large company's would be: many models, each with many versions."""

import random
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from augurium.core.clock import SystemClock
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.registry.change import changing
from augurium.registry.records import Artifact, Lineage, VersionDraft
from augurium.registry.sql_registration import register
from augurium.registry.sql_registry import SqlRegistry

ACTOR = "benchmark"
FRAMEWORKS = ("sklearn", "xgboost", "lightgbm", "torch", "tensorflow", "onnx")
TEAMS = ("risk", "growth", "search", "supply", "pricing")
SUBJECTS = ("churn", "fraud", "basket", "demand", "ranking", "price", "delay", "return")
WORDS = ("wire", "transfer", "weekly", "premium", "region", "season", "device", "margin", "store")
FEATURES = 30
CARD_WORDS = 300
BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


def fill(engine: Engine, models: int, versions: int) -> None:
    """Registers `versions` versions of each of `models` models, all different, and gives each model
    a card of a page; the newest version is deployed, the default and `champion`.
    """
    chance = random.Random(0)
    clock = SystemClock()
    for number in range(models):
        name = model_name(number)
        with changing(engine, clock, ACTOR) as change:
            for version in range(versions):
                register(change, name, _draft(chance, number * versions + version), None)
    registry = SqlRegistry(engine, clock)
    for number in range(models):
        name, card = model_name(number), " ".join(chance.choices(WORDS, k=CARD_WORDS))
        registry.set_card(name, None, f"# What it is for\n\n{card}", ACTOR)
        registry.set_deployed(name, versions, True, ACTOR)
        registry.set_default(name, versions, ACTOR)
        registry.set_alias(name, "champion", versions, ACTOR)


def model_name(number: int) -> str:
    """The name of one of the models."""
    return f"{SUBJECTS[number % len(SUBJECTS)]}-{number:04d}"


def _draft(chance: random.Random, number: int) -> VersionDraft:
    artifact = Artifact(f"{number:064x}", 1_000_000 + number)
    features = tuple(f"feature_{index}" for index in range(FEATURES))
    return VersionDraft(
        framework=chance.choice(FRAMEWORKS),
        framework_version="1.7.2",
        runtime="onnx",
        source=artifact,
        source_name="model.skops",
        servable=artifact,
        signature=Signature(
            inputs=(TensorSpec("features", "FP32", (-1, FEATURES), features=features),),
            outputs=(TensorSpec("probabilities", "FP32", (-1, 2)),),
        ),
        metrics={name: chance.random() for name in ("accuracy", "auc", "log_loss")},
        tags={"team": chance.choice(TEAMS), "run": f"{number}", "stage": chance.choice("abc")},
        description=" ".join(chance.choices(WORDS, k=20)),
        report=_report(chance),
        examples=tuple([chance.random() for _ in features] for _ in range(5)),
        lineage=Lineage(code_revision=f"{number:040x}", dataset_uri="s3://training/table.parquet"),
        trained_at=BEGUN + timedelta(hours=number),
    )


def _report(chance: random.Random) -> dict[str, object]:
    """As large as that of an import."""
    engines = {
        engine: {
            "tried": True,
            "parity": {output: chance.random() * 1e-6 for output in ("label", "probabilities")},
            "latency_us": {str(rows): chance.random() * 1000 for rows in (1, 64, 1024)},
            "memory_bytes": chance.randrange(10**8),
            "notes": " ".join(chance.choices(WORDS, k=30)),
        }
        for engine in ("onnx", "treelite", "native")
    }
    return {"engines": engines, "chosen": "onnx"}
