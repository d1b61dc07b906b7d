"""What the commands import that takes long; imported once by the process that :mod:`tests.warm` forks."""

from sweeps.execution import cluster

cluster.quiet(verbose=False)

import matplotlib.pyplot
import optuna
import pyarrow.parquet
import ray
import ray.tune
import scipy.stats
import statsmodels.stats.multitest
import torch
import wandb

import analysis.reporting.build
import ltm.data
import ltm.engine.fused
import sweeps.search.halving
import sweeps.study
import sweeps.execution.ray
import sweeps.tracking.tracker
