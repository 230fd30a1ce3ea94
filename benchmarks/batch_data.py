"""What the batch benchmark scores: rows of 50 floats in Parquet and CSV, and 100 trees."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

FEATURES = tuple(f"f{number:02d}" for number in range(50))
FILE_ROWS = 1_000_000
# as Polars writes them; numbers that are all different are no dictionary
GROUP_ROWS = 2**18
DIFFERENT_FILES = 10
TRAINING_ROWS = 50_000
TREES, DEPTH = 100, 6
SEED = 20_260_102

Floats = npt.NDArray[np.float32]


def model_file(folder: Path) -> Path:
    """The trained model, made if it is not there; the same every time."""
    from xgboost import XGBRegressor

    path = folder / "model.ubj"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        random = np.random.default_rng(SEED)
        rows = random.standard_normal((TRAINING_ROWS, len(FEATURES)), np.float32)
        linear = rows @ random.normal(scale=0.3, size=len(FEATURES))
        products = (rows[:, :-1] * rows[:, 1:]) @ random.normal(scale=0.3, size=len(FEATURES) - 1)
        regressor = XGBRegressor(n_estimators=TREES, max_depth=DEPTH, random_state=SEED)
        regressor.fit(_named(rows), linear + products)
        regressor.save_model(path)
    return path


def parquet_folder(folder: Path, rows: int) -> Path:
    """So many rows in files of a million, made if they are not there.

    Beyond ten million the same files come again under other names: what is measured there is
    memory, and a disk holds more.
    """
    return _made(folder / f"parquet-{rows}", rows, _write_parquet)


def csv_folder(folder: Path, rows: int) -> Path:
    """The same as CSV with a header, six digits a number."""
    return _made(folder / f"csv-{rows}", rows, _write_csv)


def file_rows(number: int, rows: int) -> Floats:
    """The rows of one file, float32 of shape [rows, features]."""
    random = np.random.default_rng(SEED + 1 + number)
    return random.standard_normal((rows, len(FEATURES)), np.float32)


def files_of(rows: int) -> list[int]:
    """How many rows each file has."""
    whole, rest = divmod(rows, FILE_ROWS)
    return [FILE_ROWS] * whole + ([rest] if rest else [])


def _made(folder: Path, rows: int, write: Any) -> Path:
    done = folder / "_DONE"
    if done.exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    print(f"making {folder} ...", flush=True)
    for number, count in enumerate(files_of(rows)):
        write(folder, number, count)
    done.touch()
    return folder


def _write_parquet(folder: Path, number: int, rows: int) -> None:
    path = folder / f"rows-{number:03d}.parquet"
    if rows < FILE_ROWS:
        _save(path, number, rows)
        return
    kept = folder.parent / "files" / f"{number % DIFFERENT_FILES}.parquet"
    if not kept.exists():
        kept.parent.mkdir(exist_ok=True)
        written = kept.with_suffix(".part")
        _save(written, number % DIFFERENT_FILES, rows)
        written.rename(kept)
    path.hardlink_to(kept)


def _save(path: Path, number: int, rows: int) -> None:
    columns = [np.ascontiguousarray(column) for column in file_rows(number, rows).T]
    table = pa.table(columns, list(FEATURES))
    pyarrow.parquet.write_table(table, path, row_group_size=GROUP_ROWS, use_dictionary=False)


def _write_csv(folder: Path, number: int, rows: int) -> None:
    # rounded as people write them: full precision is twice as long
    numbers = np.round(file_rows(number, rows).astype(np.float64), 6)
    table = pa.table([np.ascontiguousarray(column) for column in numbers.T], list(FEATURES))
    pyarrow.csv.write_csv(table, folder / f"rows-{number:03d}.csv")


def _named(rows: Floats) -> Any:
    import pandas as pd

    return pd.DataFrame(rows, columns=list(FEATURES))
