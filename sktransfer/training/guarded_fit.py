"""A joint fit with a guard: one network without the alignment, one with it, and which of them answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from sktransfer.backbones.backbone import Backbone
from sktransfer.exceptions import DataQualityWarning
from sktransfer.training.fit import FitResult, fit
from sktransfer.training.joint import Joint
from sktransfer.training.rows import TrainingRows
from sktransfer.training.source_free import outputs_of
from sktransfer.training.tasks import Classification
from sktransfer.utils.counted_warnings import warn_caller


def guarded_fit(
    estimator: Any, rows: TrainingRows, task: Classification, resolved: tuple[Backbone, bool], seed: int, joint: Joint
) -> tuple[FitResult, dict[str, Any]]:
    """The result of the fit that is kept, and the guard's report; `joint.alignment` is a `Guarded`.

    Without an unlabelled row of the target there is nothing to judge by, and the alignment is refused.
    """
    guard = joint.alignment
    plain = fit(estimator, rows, task, resolved, seed, replace(joint, alignment=None))
    if len(joint.unlabelled) == 0:
        report: dict[str, Any] = {"adapted": False, "reason": "the target has no row without a label to judge by"}
    else:
        before = outputs_of(plain.module, joint.unlabelled)
        source = joint.domains > 0
        counts = np.bincount(rows.y[source].astype(np.int64), rows.weight[source], minlength=before.shape[1])
        report = guard.shift(counts / counts.sum(), before)
        if report["adapted"]:
            aligned = fit(estimator, rows, task, resolved, seed, replace(joint, alignment=guard.guarded))
            report |= guard.agreement(before, outputs_of(aligned.module, joint.unlabelled))
            if report["adapted"]:
                return aligned, report
    warn_caller(
        f"{type(estimator).__name__}: the alignment by {guard.guarded!r} is refused, and the network without it "
        f"answers: {report['reason']}. Label some rows of the target, or pass alignment={guard.guarded!r} to have it "
        "all the same.",
        DataQualityWarning,
    )
    return plain, report
