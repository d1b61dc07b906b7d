"""The baselines of a study: what its ledger lacks of them is computed here, by the driver, once a task. They are in :mod:`ltm.baselines`."""

from __future__ import annotations

import json
from collections.abc import Callable

from ltm import data
from ltm.baselines import BASELINES_VERSION, rows
from ltm.errors import UserError
from sweeps.store.ledger import Ledger
from sweeps.store.storage import StorageError


def complete(ledger: Ledger, say: Callable[[str], None]) -> None:
    """Add the baselines of every task of the study that has none of this version; a few seconds a task.

    A task whose file is not at hand any more is named and passed over, as is a folder that takes no more: the report goes without.
    """
    held = ledger.baselines()
    done = set(held.loc[held["version"] >= BASELINES_VERSION, "fingerprint"])
    lacking = ledger.runs(["run_id", "dataset", "fingerprint", "config"]).drop_duplicates("fingerprint")
    for row in lacking[~lacking["fingerprint"].isin(done)].to_dict("records"):
        try:
            task = data.build(json.loads(row["config"])["dataset"])
            if task.fingerprint != row["fingerprint"]:
                raise UserError(f"its file is not the one that the networks were trained on (fingerprint {task.fingerprint[:12]}...)")
            ledger.put_baselines(rows(task))
        except StorageError as error:
            say(f"baselines are not kept: {error}")
            return
        except UserError as error:
            say(f"no baselines of '{row['dataset']}': {error}")
