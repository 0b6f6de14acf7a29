r"""What both estimators of source and target rows share: who is who, weights by machine, one joint fit.

::

    X, y, sample_domain --> rows of each machine: merged, weighed by share --+--> fit of TransferClassifier / -Regressor
                        \-> target rows without a label: no loss of labels --+    with batches of all machines
"""

from __future__ import annotations

import warnings
from numbers import Real
from typing import Any

import numpy as np
from sklearn.base import is_classifier

from sktransfer.adaptation.alignment import Alignment
from sktransfer.adaptation.compared_rows import compared_rows
from sktransfer.adaptation.deep_coral import DeepCORAL
from sktransfer.adaptation.guard import Guarded
from sktransfer.adaptation.mcc import MCC
from sktransfer.backbones.by_tag import resolve_block
from sktransfer.backbones.check_input import check_input, prepared
from sktransfer.backbones.from_scratch import open_backbone
from sktransfer.estimators.base import TransferEstimator
from sktransfer.exceptions import DataQualityWarning
from sktransfer.inference.foreign_rows import look_foreign, warn_of_foreign
from sktransfer.training.rows import TrainingRows, as_ratios, merge_copies
from sktransfer.utils.counted_nouns import counted
from sktransfer.utils.parameters import Interval, Options
from sktransfer.utils.random import draw_seed
from sktransfer.utils.threads import capped_threads
from sktransfer.validation.domains import Domains, labelled_part, labelled_rows, source_and_target, target_share_of
from sktransfer.validation.quality import warn_of_quality
from sktransfer.validation.rows import check_weights, column_names

_MOST_EPOCHS = 500  # of max_epochs="auto"
_ENOUGH = 32  # target rows without a label that tell where the target's features lie

CONSTRAINTS: dict[str, Any] = {
    "alignment": [Alignment, Options(str, {"auto"}), None],
    "target_weight": [Interval(Real, 0, 1, closed="neither"), Options(str, {"auto"})],
    "unlabelled_label": "no_validation",
    "target_domain": "no_validation",
}


class DomainAdaptation(TransferEstimator):
    """One fit on source and target rows; a subclass says whether `y` holds classes or values."""

    # with scikit-learn's metadata routing, and in skada's pipelines, machines reach the fit without being asked for
    __metadata_request__fit = {"sample_domain": True}

    block = "auto"
    head = None
    callbacks = None

    def _fit_domains(self: Any, X: Any, y: Any, sample_domain: Any, sample_weight: Any) -> Any:
        name = type(self).__name__
        if sample_domain is None:
            warnings.warn(
                f"{name} got no sample_domain, so that all rows are those of one machine, with labels: this is the fit "
                "of the estimator without adaptation. Pass sample_domain=..., one whole number a row: positive for "
                "source machines, negative for target machines.",
                DataQualityWarning,
                stacklevel=4,
            )
            return self._fit(X, y, sample_weight)
        from sktransfer.training.fit import fit
        from sktransfer.training.guarded_fit import guarded_fit

        self._forget()
        self._check_parameters()
        seed = draw_seed(self.random_state)
        rows, task, resolved, joint = self._check_domains(X, y, sample_domain, sample_weight, seed)
        with capped_threads(self.n_jobs):
            if not isinstance(joint.alignment, Guarded):
                return self._set_fitted(fit(self, rows, task, resolved, seed, joint))
            result, self.report_ = guarded_fit(self, rows, task, resolved, seed, joint)
            self.alignment_ = joint.alignment.guarded if self.report_["adapted"] else None
            return self._set_fitted(result)

    def _check_domains(
        self: Any, X: Any, y: Any, sample_domain: Any, sample_weight: Any, seed: int, resolver: Any = resolve_block
    ) -> Any:
        """Training rows of all machines, the task, the backbone, and what is known of the rows' machines.

        A search passes a `resolver` that makes each network once.
        """
        from sktransfer.training.joint import Joint

        name = type(self).__name__
        if y is None:
            raise ValueError(f"{name} requires y to be passed, but the target y is None.")
        opened = open_backbone(self.backbone)
        X = check_input(self, X, opened, reset=True)
        names = column_names(self, X.shape[1])
        domains = source_and_target(name, sample_domain, len(X), self.target_domain)
        weight = check_weights(self, sample_weight, X)
        # a row of weight zero is no row
        labelled = labelled_rows(name, y, domains, self.unlabelled_label) & (weight > 0)
        if not (labelled & ~domains.target).any():
            raise ValueError(
                f"{name}: no source row has a sample_weight above zero. Give the source rows weight, or fit "
                "TransferClassifier or TransferRegressor to the target alone."
            )
        warn_of_quality(name, X, names if X.ndim == 2 else [])
        backbone, untrained = resolver(self, opened, X.shape[1:], seed)
        alignment = self._alignment(domains, labelled, self._blocks_learn(len(backbone.blocks)))
        codes, task = self._check_y(labelled_part(y, labelled), weight[labelled], int(labelled.sum()))
        if alignment is not None:
            alignment.refuse(name, task.n_classes)
        P = prepared(name, X, backbone, names, self._dtype)
        rows, machines = _merged(P[labelled], codes, weight[labelled], domains.ids[labelled], task)
        spare = ~labelled & domains.target & (weight > 0)
        n_spare = int(spare.sum())
        unlabelled = merge_copies(P[spare], np.zeros(n_spare), np.ones(n_spare)).X if n_spare else P[:0]
        joint = Joint(machines, unlabelled, target_share_of(self.target_weight), alignment)
        joint.compared = self._compared(alignment, rows, machines, unlabelled, task)
        rows = joint.balanced(rows)
        self.domains_ = domains.names
        self.n_unlabelled_ = n_spare
        self.alignment_ = alignment
        self.fits_source_ = untrained or not look_foreign(backbone, rows.X, self.device, self.n_jobs)
        if not self.fits_source_:
            warn_of_foreign(name, backbone, len(X), learned=False)
        return rows, task, (backbone, untrained), joint

    def _compared(
        self: Any, alignment: Any, rows: TrainingRows, machines: np.ndarray, unlabelled: Any, task: Any
    ) -> Any:
        """Source rows that the alignment compares with the target's; None: all that a batch holds."""
        guarded = isinstance(alignment, Guarded)  # a guard looks at the shares itself
        alignment = alignment.guarded if guarded else alignment
        asked = alignment is not None and alignment.assumes_equal_shares and task.n_classes is not None
        if not asked or (guarded and alignment.prior is None):
            return None
        source = np.flatnonzero(machines > 0)
        of_target = np.concatenate([rows.X[machines < 0], unlabelled])
        found = compared_rows(type(self).__name__, alignment, rows.X[source], rows.y[source], self.classes_, of_target)
        return None if found is None else source[found]

    def _usual_alignment(self: Any) -> Alignment:
        """What ``alignment="auto"`` stands for; MCC needs classes."""
        return MCC() if is_classifier(self) else DeepCORAL()

    def _blocks_learn(self: Any, n_blocks: int) -> bool:
        """Whether the strategy lets any block learn."""
        if self.strategy is None:
            return True
        n_epochs = _MOST_EPOCHS if self.max_epochs == "auto" else int(self.max_epochs)
        return any(self.strategy.n_frozen(epoch, n_blocks) < n_blocks for epoch in range(n_epochs))

    def _alignment(self: Any, domains: Domains, labelled: np.ndarray, blocks_learn: bool) -> Alignment | None:
        """The alignment, with ``"auto"`` resolved."""
        name, n_unlabelled = type(self).__name__, int((domains.target & ~labelled).sum())
        alignment = self.alignment
        if alignment == "auto":
            alignment = self._usual_alignment() if n_unlabelled >= _ENOUGH and blocks_learn else None
        if alignment is None and not (domains.target & labelled).any():
            few = self.alignment == "auto" and n_unlabelled < _ENOUGH
            reason = f"has {counted(n_unlabelled, 'row')}, fewer than {_ENOUGH}, and" if few else "has"
            raise ValueError(
                f"{name}: the target {reason} no label, and without an alignment nothing of it would be learned. Label "
                f"some target rows, or pass alignment={self._usual_alignment()!r} and let blocks learn."
            )
        return alignment


def _merged(
    X: np.ndarray, y: np.ndarray, weight: np.ndarray, machines: np.ndarray, task: Any
) -> tuple[TrainingRows, np.ndarray]:
    """Rows in canonical form, machine by machine, and the machine of each."""
    parts = []
    for machine in np.unique(machines):
        own = machines == machine
        part = merge_copies(X[own], y[own], weight[own])
        parts.append((part, np.full(len(part.X), machine)))
    rows = TrainingRows(*(np.concatenate(field) for field in zip(*(part for part, _ in parts), strict=True)))
    return as_ratios(task.weigh(rows), weight), np.concatenate([machine for _, machine in parts])
