"""How sure a sweep's best trial is: its metric over several seeds of the probe."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from heist_encoders.errors import HeistEncodersError
from heist_encoders.files import write_atomically
from heist_encoders.tuning.options import Objective
from heist_encoders.tuning.results import ARTIFACT, SPREAD, SweepResult, load_result

if TYPE_CHECKING:
    from heist_encoders.data.source import FrameSource

CLOSE = 0.01
"""A lead beyond this is not put in doubt: several times what seeds of the probe change the mIoU by."""
SEEDS = 3


def with_spread(result: SweepResult, dataset: FrameSource, objective: Objective) -> SweepResult:
    """The result with ``std`` for the best trial, if the next one is close; measured once.

    Trials are compared by one seed of the probe each. Where the lead is small, the best is probed with two more. By the
    test loss, which no probe reads, nothing is measured.
    """
    from heist_encoders.tuning.trial import read_metric
    from heist_encoders.zoo import load_artifact

    table = result.table
    rows = table[table["feasible"] & (table["checkpoint"] != "")].head(2) if len(table) else table
    if len(rows) < 2 or objective.metric == "test_loss" or rows["objective"].diff().iloc[1] < -CLOSE:
        return result
    checkpoint = str(rows["checkpoint"].iloc[0])
    if rows["std"].iloc[0] is not None:
        return result
    try:
        model = load_artifact(result.path / checkpoint / ARTIFACT).load_model()
    except HeistEncodersError:  # the table is worth having without it
        return result
    found = read_metric(model, dataset, objective, seeds=SEEDS)
    write_atomically(
        (result.path / checkpoint).with_name(SPREAD), json.dumps({checkpoint: found.std[objective.metric]})
    )
    return load_result(result.path, finished=result.finished)
