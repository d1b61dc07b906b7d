"""Orchestration: a study's config becomes seed runs, Ray Tune trains them in packs, the ledger keeps what is finished."""
