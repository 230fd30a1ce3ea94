"""A plain loop: every file to a data frame, predicted by XGBoost with all cores, and written. What
people write first, a child of the batch benchmark.
"""

import sys
from pathlib import Path

import pandas as pd
import xgboost


def main() -> None:
    model, folder, output = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    regressor = xgboost.XGBRegressor()
    regressor.load_model(model)
    output.mkdir(parents=True)
    for path in sorted(folder.glob("*.parquet")):
        answers = regressor.predict(pd.read_parquet(path))
        pd.DataFrame({"prediction": answers}).to_parquet(output / path.name)


if __name__ == "__main__":
    main()
