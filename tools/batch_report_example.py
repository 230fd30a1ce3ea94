"""The report of a batch job that is shown in the docs: `python tools/batch_report_example.py`.

Counts rows as a worker does, in four partitions: answers of a model of fraud, a month after its
training, when amounts have risen and a field is sometimes no longer filled in. Writes the page to
the folder that is named, and a picture of it to docs/images if there is a Chromium.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

from augurium.batch.partition import (
    Fragment,
    InputPlan,
    Partition,
    PartitionResult,
    RejectedRow,
    WrittenFile,
)
from augurium.batch.report import Report, ReportFacts, report_of
from augurium.batch.report_page import report_page
from augurium.batch.summary_counter import SummaryCounter
from augurium.core.signature import Signature
from augurium.core.tensors import TensorSpec
from augurium.statistics.profiler import Profiler
from augurium.statistics.profiles import FeatureProfile, Profile, profile_of
from augurium.statistics.reference_bins import Feature, ReferenceBins
from augurium.statistics.values import Values

ROOT = Path(__file__).parent.parent
PICTURE = ROOT / "docs" / "images" / "batch-report.png"
WIDTH, HEIGHT = 960, 1640
FEATURES = ("amount", "hour", "age_days", "distance_km", "items", "previous_orders")
CHANNELS = ("app", "web", "phone")
SIGNATURE = Signature(
    inputs=(
        TensorSpec("numbers", "FP32", (-1, len(FEATURES)), features=FEATURES),
        TensorSpec("channel", "BYTES", (-1, 1)),
    ),
    outputs=(TensorSpec("probability", "FP32", (-1, 1)), TensorSpec("label", "BYTES", (-1,))),
)
PARTITIONS, ROWS = 4, 250_000


def main() -> int:
    """Writes the page, and the picture where there is a browser."""
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "report.html"
    page.write_text(report_page(example_report()))
    print(f"page written to {page}")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print("no picture: no Chromium was found")
        return 0
    options = ("--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={WIDTH},{HEIGHT}")
    command = (browser, *options, f"--screenshot={PICTURE}", page.as_uri())
    subprocess.run(command, check=True, capture_output=True)
    print(f"picture written to {PICTURE}")
    return 0


def example_report() -> Report:
    """The same report every time."""
    profile = _training()
    fragments = [
        Fragment(f"s3://lake/orders/day-{day}.parquet", "1", rows=ROWS) for day in range(4)
    ]
    partitions = tuple(Partition(place, (one,)) for place, one in enumerate(fragments))
    sources = {name: name for name in (*FEATURES, "channel")}
    plan = InputPlan("parquet", partitions, sources, ("order",), PARTITIONS, 41_200_000)
    facts = ReportFacts(
        job="5f2c9a417be84d0f9d1c64a2b8e03f75",
        model="fraud",
        version=3,
        runtime="xgboost",
        output="s3://lake/scored/2026-03",
        wall_s=1.42,
        workers=2,
        batch_size=16_384,
        per_core_hour=0.048,
    )
    results = [_result(part, plan, profile) for part in partitions]
    return report_of(facts, plan, results, profile)


def _training() -> Profile:
    columns = _columns(np.random.default_rng(1), 60_000, amounts=3.2)
    values = {name: _values(column) for name, column in columns.items()}
    answers = _answers(np.random.default_rng(2), columns)
    outputs = {"probability": _values(answers["probability"]), "label": _values(answers["label"])}
    rows = len(values["amount"])
    return profile_of(_profiles(values), _profiles(outputs), rows, rows)


def _profiles(columns: dict[str, Values]) -> tuple[FeatureProfile, ...]:
    finder = ReferenceBins(
        [Feature(name, is_text=one.content.dtype == object) for name, one in columns.items()]
    )
    finder.observe(columns)
    profiler = Profiler(finder.bins())
    profiler.update(columns)
    return profiler.profiles()


def _result(part: Partition, plan: InputPlan, profile: Profile) -> PartitionResult:
    random = np.random.default_rng(10 + part.number)
    columns = _columns(random, ROWS, amounts=3.6, gaps=0.07)
    answers = _answers(random, columns)
    counter = SummaryCounter(SIGNATURE, plan, profile)
    counter.count_inputs(pa.RecordBatch.from_pydict(columns))
    counter.count_outputs(pa.RecordBatch.from_pydict(answers))
    rejected = {"wrong_type": 21 + part.number, "missing": 6}
    for kind, rows in rejected.items():
        for row in range(rows):
            reason = "'n/a' is no number" if kind == "wrong_type" else "null, a number was expected"
            column = "items" if kind == "wrong_type" else "amount"
            place = int(random.integers(ROWS))
            counter.count_rejected(
                RejectedRow(part.fragments[0].file, place + row, column, kind, reason)
            )
    name = f"part-{part.number:05d}-5f2c9a41.parquet"
    return PartitionResult(
        number=part.number,
        files=(WrittenFile(f"_augurium/{name}", name, 3_350_000, "", ROWS),),
        read_rows=ROWS + sum(rejected.values()) + 1800,
        written_rows=ROWS,
        filtered_rows=1800,
        rejected=rejected,
        stage_s={"read": 0.11, "prepare": 0.07, "predict": 0.49, "encode": 0.06, "store": 0.02},
        summary=counter.summary(core_s=0.66),
    )


def _columns(
    random: np.random.Generator, rows: int, amounts: float, gaps: float = 0.0
) -> dict[str, pa.Array]:
    missing = random.uniform(size=rows) < gaps
    numbers = {
        "amount": random.lognormal(amounts, 0.9, rows),
        "hour": random.normal(15, 4, rows).clip(0, 24),
        "age_days": random.exponential(400, rows),
        "distance_km": random.lognormal(2 + 0.2 * bool(gaps), 1.1, rows),
        "items": random.poisson(3, rows).astype(np.float64),
        "previous_orders": random.geometric(0.1, rows).astype(np.float64),
    }
    found = {
        name: pa.array(column, pa.float32(), mask=missing if name == "age_days" else None)
        for name, column in numbers.items()
    }
    return found | {"channel": pa.array(random.choice(CHANNELS, rows, p=(0.6, 0.3, 0.1)))}


def _answers(random: np.random.Generator, columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    amount, distance = (columns[name].to_numpy() for name in ("amount", "distance_km"))
    odds = 0.9 * np.log(amount) + 0.5 * np.log(distance) - 6.2 + random.normal(0, 0.6, len(amount))
    probability = (1 / (1 + np.exp(-odds))).astype(np.float32)
    label = np.where(probability > 0.5, "fraud", "genuine")
    return {"probability": pa.array(probability), "label": pa.array(label)}


def _values(column: pa.Array) -> Values:
    content = column.to_numpy(zero_copy_only=False)
    return Values(content if content.dtype == object else content.astype(np.float64))


if __name__ == "__main__":
    sys.exit(main())
