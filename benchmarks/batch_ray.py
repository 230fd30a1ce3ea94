"""The same over Ray Data, a child of the batch benchmark in an environment of its own: a model per
core, batches of 16 384 rows as NumPy arrays. Stands on nothing of this checkout.
"""

import sys

import numpy as np
import ray
import xgboost

BATCH_ROWS = 16_384


class Predictor:
    """Holds the model in one of Ray's workers."""

    def __init__(self, model: str, features: list[str]) -> None:
        self._booster = xgboost.Booster(model_file=model)
        self._booster.set_param({"nthread": 1})
        self._features = features

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        rows = np.column_stack([batch[name] for name in self._features])
        return {"prediction": self._booster.inplace_predict(rows, validate_features=False)}


def main() -> None:
    model, folder, output, cores = *sys.argv[1:4], int(sys.argv[4])
    features = xgboost.Booster(model_file=model).feature_names
    # never the cluster that somebody else has on this machine
    ray.init("local", num_cpus=cores, include_dashboard=False, log_to_driver=False)
    rows = ray.data.read_parquet(folder, file_extensions=["parquet"])
    answers = rows.map_batches(
        Predictor,
        fn_constructor_args=(model, features),
        batch_size=BATCH_ROWS,
        concurrency=cores,
        num_cpus=0.5,
    )
    answers.write_parquet(output)
    ray.shutdown()


if __name__ == "__main__":
    main()
