"""The study by Ray Tune, one trial a seed run; the same command again restores it (docs.ray.io, "How to Enable Fault Tolerance in Ray Tune")."""

import ray
from ray import tune
from training import FOLDER, STUDY, train


def trial(config):
    tune.report({"test_rmse": train(**config)})


if __name__ == "__main__":
    ray.init(address="local", num_cpus=2, include_dashboard=False)
    trainable, path = tune.with_resources(trial, {"cpu": 1}), f"{FOLDER}/tune/study"
    if tune.Tuner.can_restore(path):
        tuner = tune.Tuner.restore(path, trainable=trainable, resume_errored=True)
    else:
        grid = {"model": STUDY["models"], "series": STUDY["series"], "seed": list(range(STUDY["seeds"]))}
        tuner = tune.Tuner(
            trainable,
            param_space={key: tune.grid_search(values) for key, values in grid.items()},
            run_config=tune.RunConfig(name="study", storage_path=f"{FOLDER}/tune"),
        )
    frame = tuner.fit().get_dataframe()
    frame[["config/model", "config/series", "config/seed", "test_rmse"]].dropna().to_csv(FOLDER / "table.csv", index=False)
