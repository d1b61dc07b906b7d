"""The study by Optuna, one trial a seed run: run it in two processes at once; the same again goes on (optuna.readthedocs.io, "Easy Parallelization")."""

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from training import FOLDER, STUDY, train

GRID = {"model": STUDY["models"], "series": STUDY["series"], "seed": list(range(STUDY["seeds"]))}


def objective(trial):
    return train(**{key: trial.suggest_categorical(key, values) for key, values in GRID.items()})


if __name__ == "__main__":
    study = optuna.create_study(
        study_name="study",
        storage=JournalStorage(JournalFileBackend(f"{FOLDER}/journal.log")),
        sampler=optuna.samplers.GridSampler(GRID),
        load_if_exists=True,
    )
    study.optimize(objective)
    frame = study.trials_dataframe(attrs=("params", "value", "state"))
    frame[frame["state"] == "COMPLETE"].to_csv(FOLDER / "table.csv", index=False)
