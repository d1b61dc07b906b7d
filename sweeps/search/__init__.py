"""Searches: a proposer is asked for the next plan. A rule is a file, a YAML in ``conf/search`` and a line here."""

METHODS = {"none": "whole:Whole", "random": "halving:Halving", "grid": "halving:Halving", "optuna": "optuna:Optuna"}
"""``search.method``, and the module and class that proposes its plans."""
