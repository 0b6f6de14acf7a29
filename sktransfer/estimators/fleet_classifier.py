r"""FleetClassifier: one frozen network and a thousand machines, each with a head of its own.

::

    rows of all machines --baseline of each machine--> frozen network, once --> features --+--> head of machine A
                                                                                           +--> head of machine B ...
    a machine without two labelled classes, or never seen: the mean of the fleet's heads, or the source head
"""

from __future__ import annotations

import os
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.metrics import accuracy_score
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.by_tag import BLOCKS, resolve_block
from sktransfer.backbones.check_input import check_input, prepared, tag_dimensions
from sktransfer.backbones.from_scratch import FromScratch, open_backbone
from sktransfer.estimators.class_predictions import softmax
from sktransfer.estimators.fleet_arrays import FleetArrays, joined_baselines
from sktransfer.estimators.fleet_machines import FleetMachines, are_unnamed
from sktransfer.inference.foreign_rows import look_foreign, warn_of_foreign
from sktransfer.inference.out_of_range import (
    along_channels,
    confidence_weights,
    count_out_of_range,
    limits_in_range,
    lowered,
    warn_of_range,
)
from sktransfer.inference.predictor import features
from sktransfer.networks.heads import LinearHead
from sktransfer.preprocessing.baseline_scaler import BaselineScaler
from sktransfer.strategies.base import HeadSolver
from sktransfer.strategies.linear_probing import LinearProbing
from sktransfer.utils.callbacks import CallbackSupport, FitTask, with_callbacks
from sktransfer.utils.checksums import Checksummed
from sktransfer.utils.chunks import in_chunks
from sktransfer.utils.counted_warnings import listed, warn_caller
from sktransfer.utils.device import resolve_device
from sktransfer.utils.parameters import Interval, InvalidParameterError, Options, StrOptions, TorchDevice
from sktransfer.utils.random import draw_seed
from sktransfer.utils.threads import capped_threads
from sktransfer.validation.domains import labelled_part, unlabelled_rows
from sktransfer.validation.labels import check_labels
from sktransfer.validation.quality import warn_of_quality
from sktransfer.validation.rows import LARGEST_INPUT, column_names

if TYPE_CHECKING:
    from sktransfer.estimators.fleet_fit import FleetFit

_ROWS = 2**14  # that walk together in predict, sorted by machine


class FleetClassifier(Checksummed, CallbackSupport, FleetMachines, ClassifierMixin, BaseEstimator):
    """Classify rows of many machines by one frozen backbone and a head for each machine.

    The backbone is run once and stored once; all heads are solved together. Each is the head that
    ``TransferClassifier(backbone, strategy=LinearProbing())`` finds in the rows of its machine alone, with ``alpha_``
    and the matching of the fleet, or with those that the machine's rows choose (``shared=False``).

    Parameters
    ----------
    backbone : Backbone, FromScratch, str, path or None, default=None
        The pretrained network; as in :class:`sktransfer.TransferClassifier`. None: an untrained one, whose features are
        random.
    machine : object, default=None
        Column of the frame `X` that names the machine of each row; it is no feature. None: ``sample_domain`` does.
    baseline : BaselineScaler or None, default=None
        Scales each machine by its own healthy rows before the backbone. None: the rows are scaled already.
    block : {"auto", "tag", "pooled", "both"}, default="auto"
        As in :class:`sktransfer.TransferClassifier`.
    head : LinearHead or None, default=None
        As in :class:`sktransfer.TransferClassifier`.
    strategy : LinearProbing or None, default=None
        How the heads are solved; None: ``LinearProbing()``. Its solvers ``"lbfgs"`` and ``"ridge"`` are taken.
    shared : bool, default=True
        Whether alpha, and which class of the source head each class is, are chosen once for all machines, by up to 32
        of them; a few labels a machine say little of either. False: by the labels of each machine, as a fit alone does.
    unlabelled_label : object, default=None
        What `y` holds for a row without a label; None and NaN mark one, too. Such rows give a baseline, and no more.
    device : str, default="auto"
        As in :class:`sktransfer.TransferClassifier`.
    n_jobs : int or None, default=None
        Threads inside ``fit`` and ``predict``; None: 1; -1: as many as torch has.
    random_state : int, RandomState, Generator or None, default=None
        Drives the weights of an untrained network.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes of all machines, in the order of the columns of ``predict_proba``.
    machines_ : ndarray of shape (n_machines,)
        Names of the machines, sorted; ``[0]`` without names.
    has_own_head_ : ndarray of bool of shape (n_machines,)
        Whether a machine had two different rows with labels of two classes. Else it has the fallback head.
    n_labels_ : ndarray of shape (n_machines, n_classes)
        Labelled rows of each class.
    alpha_ : float or None
        Strength of the penalty that all heads share; None: each has its own, or the strategy says it.
    source_classes_ : list of length n_classes or None
        With `shared`: the source class of each class of ``fit``, or None, as ``LinearHead(source_classes=...)`` takes
        them; None where no source head was matched.
    fallback_ : {"source", "mean"}
        What answers for other machines: the mean of the heads of ``fit``, or, where fewer than two machines have one
        and the source knows all classes by name, the source head.
    heads_ : FleetArrays
        Arrays with a row a machine, and a last one for machines never seen.
    baseline_ : BaselineScaler or None
        Fitted, with a domain a machine.
    backbone_ : Backbone
        The frozen backbone.
    fits_source_ : bool
        Whether the rows of ``fit`` looked to the backbone as those of its source did.
    n_features_in_, feature_names_in_, column_names_in_, channel_names_in_, sampling_rate_, window_fields_
        As in :class:`sktransfer.TransferClassifier`; without the column `machine`.

    See Also
    --------
    TransferClassifier : One machine, with every strategy.
    DomainAdaptationClassifier : One network for the source's and the target's rows.

    Notes
    -----
    A class that a machine has no labelled rows of keeps the row of the source head where the source knows the class and
    the other classes of the machine began there; else the machine gives it the probability zero. A class that first
    comes with :meth:`partial_fit` has the probability zero on the machines that were fitted before, whose other
    probabilities stay as they are, to the last bit.

    Rows of :meth:`predict` without names are those of the only machine, or of the only one with a negative number. In
    a search, scikit-learn hands ``sample_domain`` to the scorer with metadata routing alone; `machine` needs none.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import FleetClassifier, TransferClassifier
    >>> rng = np.random.default_rng(0)
    >>> X, machine = rng.normal(size=(440, 4)), np.repeat(["source", "A", "B"], [400, 20, 20])
    >>> y = np.where(X[:, 0] * X[:, 1] > 0, "normal", "leak")
    >>> source = TransferClassifier(random_state=0).fit(X[:400], y[:400])
    >>> fleet = FleetClassifier(source.backbone_).fit(X[400:], y[400:], sample_domain=machine[400:])
    >>> fleet.machines_.tolist(), fleet.predict(X[400:], sample_domain=machine[400:]).shape
    (['A', 'B'], (40,))
    """

    # where scikit-learn's metadata routing is turned on, nobody needs to ask for what machines are
    __metadata_request__fit = {"sample_domain": True}
    __metadata_request__partial_fit = {"sample_domain": True, "classes": True}
    __metadata_request__predict = {"sample_domain": True}
    __metadata_request__predict_proba = {"sample_domain": True}
    __metadata_request__predict_log_proba = {"sample_domain": True}
    __metadata_request__score = {"sample_domain": True}

    backbone_: Backbone
    classes_: np.ndarray
    _shared: Any
    _resolved: tuple[Backbone, bool]

    # In which a fit computes; tests set float64, as they do in TransferEstimator.
    _dtype: type[np.floating] = np.float32

    _parameter_constraints: dict[str, Any] = {
        "backbone": [Backbone, FromScratch, str, os.PathLike, None],
        "machine": "no_validation",
        "baseline": [BaselineScaler, None],
        "block": [StrOptions(set(BLOCKS))],
        "head": [LinearHead, None],
        "strategy": [LinearProbing, None],
        "shared": ["boolean"],
        "unlabelled_label": "no_validation",
        "device": [str, TorchDevice()],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), None],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self, backbone=None, *, machine=None, baseline=None, block="auto", head=None, strategy=None,
        shared=True, unlabelled_label=None, device="auto", n_jobs=None, random_state=None,
    ):  # fmt: skip
        self.backbone = backbone
        self.machine = machine
        self.baseline = baseline
        self.block = block
        self.head = head
        self.strategy = strategy
        self.shared = shared
        self.unlabelled_label = unlabelled_label
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state

    @with_callbacks
    def fit(self, X, y, sample_domain=None):
        """Fit a baseline and a head for each machine.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)
            Rows or windows of all machines.
        y : array-like of shape (n_samples,)
            Class of each row; None, NaN or `unlabelled_label` for a row without a label.
        sample_domain : array-like of shape (n_samples,), optional
            Machine of each row: whole numbers other than zero, or texts. Without it, and without `machine`, there is
            one machine.

        Returns
        -------
        self : FleetClassifier

        Raises
        ------
        ValueError
            If rows, labels, names or parameters cannot be used, or no machine has labels of two classes and the
            backbone has no source head.
        """
        for name in [key for key in self.__dict__ if key.endswith("_") and not key.startswith("_")]:
            delattr(self, name)
        with FitTask(self, X, y, 0, fits_it=True):
            return self._fit(X, y, sample_domain, None)

    def partial_fit(self, X, y, classes=None, sample_domain=None):
        """Fit the machines of these rows; the others stay as they are, to the last bit.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)
            All rows of these machines: one that was fitted before is fitted again to these rows alone.
        y : array-like of shape (n_samples,)
        classes : array-like of shape (n_classes,), optional
            Classes that other machines will have, so that they have their columns from the first call on.
        sample_domain : array-like of shape (n_samples,), optional
            As in :meth:`fit`.

        Returns
        -------
        self : FleetClassifier

        Raises
        ------
        ValueError
            As :meth:`fit`.
        """
        return self._fit(X, y, sample_domain, classes)

    def predict_proba(self, X, sample_domain=None):
        """Probability of each class, by the head of each row's machine.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)
        sample_domain : array-like of shape (n_samples,), optional
            Machine of each row. One that was never seen gets the fallback head, and a warning says so.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Rows sum to one. Of rows far outside the range of their machine, as in
            :meth:`sktransfer.TransferClassifier.predict_proba`.

        Raises
        ------
        ValueError
            If columns, channels or the sampling rate differ from those of ``fit``, a value is missing or infinite, or
            the machine of a row is not known.
        """
        check_is_fitted(self)
        X, names = self._named(X, sample_domain, reset=False)
        which = self._which(names, len(names))
        X = check_input(self, self._scaled(X, names, which), self.backbone_, reset=False)
        if not self.fits_source_:
            warn_of_foreign(type(self).__name__, self.backbone_, len(X), learned=True)
        order = np.argsort(which, kind="stable")
        found, n_outside = np.zeros((len(X), len(self.classes_))), 0
        for part in in_chunks(len(X), _ROWS if X.ndim == 2 else _ROWS // 64):
            rows = order[part]
            found[rows], outside = self._probabilities(X[rows], which[rows])
            n_outside += outside
        warn_of_range(type(self).__name__, n_outside, len(X))
        return found

    def predict_log_proba(self, X, sample_domain=None):
        """Logarithm of :meth:`predict_proba`, of the same shape."""
        return np.log(np.maximum(self.predict_proba(X, sample_domain), np.finfo(np.float64).tiny))

    def predict(self, X, sample_domain=None):
        """Most probable class; the parameters and errors are those of :meth:`predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        probabilities = self.predict_proba(X, sample_domain)
        return self.classes_[probabilities.argmax(axis=1)]

    def score(self, X, y, sample_weight=None, sample_domain=None):
        """Accuracy over all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)
        y : array-like of shape (n_samples,)
        sample_weight : array-like of shape (n_samples,), optional
        sample_domain : array-like of shape (n_samples,), optional

        Returns
        -------
        float
        """
        return float(accuracy_score(y, self.predict(X, sample_domain), sample_weight=sample_weight))

    # ---- fit

    def _fit(self, X: Any, y: Any, sample_domain: Any, classes: Any) -> Any:
        from sktransfer.estimators.fleet_fit import FleetFit, FleetRows  # all that trains needs torch

        name, first = type(self).__name__, "heads_" not in self.__dict__
        head, solver = self._checked()
        if y is None:
            raise ValueError(f"{name} requires y to be passed, but the target y is None.")
        X, names = self._named(X, sample_domain, reset=first)
        machines, codes = np.unique(names, return_inverse=True)
        baseline, X = self._baseline(X, y, names)
        opened = open_backbone(self.backbone) if first else self.backbone_
        X = check_input(self, X, opened, reset=first)
        labelled, y = self._labels(y, len(X))
        columns = column_names(self, X.shape[1])
        warn_of_quality(name, X, columns if X.ndim == 2 else [])
        if first:
            self._resolved = resolve_block(self, opened, X.shape[1:], draw_seed(self.random_state))
        backbone, untrained = self._resolved
        rows = prepared(name, X, backbone, columns, self._dtype)
        foreign = not untrained and look_foreign(backbone, rows, self.device, self.n_jobs)
        if foreign:
            warn_of_foreign(name, backbone, len(X), learned=False)
        known = self._known_classes(y, classes)
        fit = FleetFit(name, backbone, untrained, head, solver, self.device, self.n_jobs)
        with capped_threads(self.n_jobs):
            before = None if first else self._among(known)
            fit.run(FleetRows(rows, labelled, y, codes, len(machines), known), before, self._shared_by())
        if first:
            self.fits_source_ = not foreign
            self._take(fit, machines, known, baseline)
        else:
            self._add(fit, machines, known, baseline)
        self._warn_of_fallback(machines[~fit.own], len(machines))
        return self

    def _baseline(self, X: Any, y: Any, names: np.ndarray) -> tuple[Any, Any]:
        """The fitted baseline, and `X` behind it."""
        if self.baseline is None:
            return None, X
        domains = None if are_unnamed(names) else names
        scaler = clone(self.baseline).fit(X, y, sample_domain=domains)
        return scaler, scaler.transform(X, sample_domain=domains)

    def _known_classes(self, y: np.ndarray, classes: Any) -> np.ndarray:
        """Classes of these labels, of what the caller says, and of earlier fits; sorted."""
        found = [np.unique(y)]
        if classes is not None:
            found.append(check_labels(type(self).__name__, classes, len(classes)))
        if "heads_" in self.__dict__:
            found.append(self.classes_)
        return np.unique(np.concatenate(found))

    def _shared_by(self) -> Any:
        """What an earlier fit chose for all machines, or whether this one shall choose."""
        return self.shared if "heads_" not in self.__dict__ else self._shared

    def _take(self, fit: FleetFit, machines: np.ndarray, classes: np.ndarray, baseline: Any) -> None:
        """Take all from a first fit."""
        self.backbone_, self.machines_, self.classes_ = self._resolved[0], machines, classes
        self.heads_, self.fallback_, self.baseline_ = fit.arrays, fit.fallback, baseline
        self.has_own_head_, self.n_labels_, self._shared = fit.own, fit.n_labels, fit.shared or False
        match = None if fit.shared is None else fit.shared.match
        self.alpha_ = None if fit.shared is None else fit.shared.alpha
        self.source_classes_ = None if match is None else match.source_classes(self.backbone_.source)

    def _checked(self) -> tuple[LinearHead, HeadSolver]:
        self._validate_params()
        resolve_device(self.device)
        strategy = LinearProbing() if self.strategy is None else self.strategy
        if (solver := strategy.head_solver()) is None:
            raise InvalidParameterError(
                f"{type(self).__name__} got strategy={strategy!r}, which trains by epochs. The heads of a fleet are "
                "solved together: take solver='lbfgs' or 'ridge'."
            )
        return LinearHead() if self.head is None else self.head, solver

    def _labels(self, y: Any, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Which rows have a label, and their labels."""
        name = type(self).__name__
        labelled = ~unlabelled_rows(name, y, self.unlabelled_label)
        if len(labelled) != n_rows:
            raise ValueError(
                f"Found input variables with inconsistent numbers of samples: [{n_rows}, {len(labelled)}] (X and y)."
            )
        some = y if labelled.all() else labelled_part(y, labelled)
        found = check_labels(name, some, int(labelled.sum()))
        if len(found) == 0:
            raise ValueError(f"{name} found no label in y: 0 of {n_rows} rows. Label some rows of some machine.")
        check_classification_targets(found)
        return labelled, found

    def _among(self, classes: np.ndarray) -> FleetArrays:
        """The arrays among more `classes`."""
        return self.heads_.with_classes(np.searchsorted(classes, self.classes_), len(classes))

    def _add(self, fit: FleetFit, machines: np.ndarray, classes: np.ndarray, baseline: Any) -> None:
        """Take the machines of a later fit."""
        before, where = self._among(classes), np.searchsorted(classes, self.classes_)
        places = np.searchsorted(self.machines_, machines)
        known = np.isin(machines, self.machines_)
        n_labels = np.zeros((len(self.machines_), len(classes)), dtype=np.int64)
        n_labels[:, where] = self.n_labels_
        own = self.has_own_head_.copy()
        own[places[known]], n_labels[places[known]] = fit.own[known], fit.n_labels[known]
        self.heads_ = before.with_machines(fit.arrays, places, known)
        self.has_own_head_ = np.insert(own, places[~known], fit.own[~known])
        self.n_labels_ = np.insert(n_labels, places[~known], fit.n_labels[~known], axis=0)
        self.machines_ = np.unique(np.concatenate([self.machines_, machines]))
        self.classes_ = classes
        if baseline is not None:
            self.baseline_ = joined_baselines(self.baseline_, baseline)

    def _warn_of_fallback(self, machines: np.ndarray, total: int) -> None:
        if len(machines):
            warn_caller(
                f"{type(self).__name__}: {len(machines)} of {total} machines have no two different rows with labels of "
                f"two classes ({listed(machines.tolist())}), and get {self._fallback_words()}. Label rows of two "
                "classes, and fit them by partial_fit."
            )

    # ---- predict

    def _probabilities(self, X: np.ndarray, which: np.ndarray) -> tuple[np.ndarray, int]:
        """Probabilities of rows that are sorted by machine, and how many lie far out of range."""
        name, heads, backbone = type(self).__name__, self.heads_, self.backbone_
        rows = prepared(name, X, backbone, column_names(self, X.shape[1]), heads.coef.dtype)
        starts = np.flatnonzero(np.r_[True, which[1:] != which[:-1]])
        parts = [slice(a, b) for a, b in zip(starts, [*starts[1:], len(rows)], strict=True)]
        confidence = np.ones(len(rows))
        for part in parts:
            self._into_range(rows[part], confidence[part], heads.inputs_of(int(which[part.start]), backbone.inputs))
        F = features(backbone, rows, len(backbone.blocks), self.device, self.n_jobs, lambda chunk: chunk)
        found = np.zeros((len(rows), len(self.classes_)))
        for part in parts:
            machine = int(which[part.start])
            outputs, known = heads.outputs(machine, F[part].reshape(len(rows[part]), -1))
            if not np.isfinite(outputs).all():
                raise ValueError(f"{name}: the network returned values that are not finite for these rows.")
            outputs = softmax(outputs)
            if (outside := confidence[part] < 1).any():
                central = heads.central[machine, known]
                outputs[outside] = lowered(outputs[outside], confidence[part][outside], central)
            found[part, known] = outputs
        return found, count_out_of_range(confidence)

    @staticmethod
    def _into_range(rows: np.ndarray, confidence: np.ndarray, inputs: Any) -> None:
        """Move cells far out of range to its edge, and set the confidence of their rows; both in place."""
        low, high = (along_channels(limit, rows.ndim) for limit in limits_in_range(inputs, LARGEST_INPUT))
        if not ((rows >= low) & (rows <= high)).all():
            confidence[:] = confidence_weights(rows, inputs)
            np.clip(rows, low, high, out=rows, dtype=rows.dtype)

    def __sklearn_is_fitted__(self) -> bool:
        return "heads_" in self.__dict__

    def __sklearn_tags__(self) -> Any:
        return tag_dimensions(super().__sklearn_tags__(), self.backbone)
