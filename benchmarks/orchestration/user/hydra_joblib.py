"""The study by Hydra's joblib launcher, one job a seed run; the same command again is a new sweep, as Hydra resumes none."""

import json
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from training import train


@hydra.main(version_base=None, config_path=".", config_name="hydra_joblib")
def main(config):
    row = {**config, "test_rmse": train(config.model, config.series, config.seed)}
    Path(HydraConfig.get().runtime.output_dir, "result.json").write_text(json.dumps(row))


if __name__ == "__main__":
    main()
