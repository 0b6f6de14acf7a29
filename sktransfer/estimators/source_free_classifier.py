"""SourceFreeClassifier: weights travel, data stays."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils.multiclass import check_classification_targets

from sktransfer.adaptation.agreement import agreement_of_surest
from sktransfer.adaptation.shot import SHOT, estimated_shares
from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.check_input import prepared
from sktransfer.backbones.source import Source
from sktransfer.estimators.class_predictions import softmax
from sktransfer.estimators.source_classifier import SourceClassifier
from sktransfer.exceptions import DataQualityWarning, SourceClassWarning
from sktransfer.inference.foreign_rows import warn_of_foreign
from sktransfer.inference.predictor import Predictor
from sktransfer.networks.heads import LinearHead
from sktransfer.strategies.adabn import AdaBN
from sktransfer.utils.callbacks import FitTask, with_callbacks
from sktransfer.utils.counted_warnings import listed, warn_caller
from sktransfer.utils.parameters import Interval, Options
from sktransfer.utils.random import draw_seed
from sktransfer.utils.threads import capped_threads
from sktransfer.validation.domains import unlabelled_rows
from sktransfer.validation.labels import check_labels
from sktransfer.validation.quality import warn_of_quality
from sktransfer.validation.rows import column_names

# Total variation between equal shares and those that the source network finds, above which a method that assumes equal
# shares is warned of. On the development tasks of the benchmarks a source network finds 0.13 to 0.29 where they are
# equal, and 0.43 to 0.62 where 80 to 90 % of the rows are healthy.
_UNEQUAL = 0.35
# Of the rows that the source network is surest of, the share that an adaptation may not change its mind about.
_AGREED = 0.95


def _is_missing(label: Any) -> bool:
    return isinstance(label, float) and np.isnan(label)


class SourceFreeClassifier(SourceClassifier):
    """Adapt a pretrained network to a machine whose rows have no labels, without a row of the source.

    The source head stays, and so do its classes; the blocks below it change until they fit the rows of the machine at
    hand. Only the network is needed: the rows that it was trained on stay where they are.

    Parameters
    ----------
    backbone : Backbone, str, path or None, default=None
        The pretrained network with its source head; a file name or shipped name is loaded by
        :func:`sktransfer.load_backbone`. None is an error at ``fit``.
    method : SHOT, AdaBN or None, default=None
        How the blocks adapt. None: ``AdaBN()``, which gains little and rarely harms; ``SHOT()`` gains or loses much.
    classes : sequence or None, default=None
        The classes that can occur, some of those that the source head knows; None: all of them. Classes that cannot
        occur mislead SHOT most of all.
    unlabelled_label : object, default=-1
        What `y` holds for a row without a label. Among texts None does, too.
    guard : bool, default=True
        Whether an adaptation is refused whose ``agreement_`` is below 0.95; the source network answers then, and a
        warning says so.
    max_epochs : int or "auto", default="auto"
        Of SHOT: passes over the rows; ``"auto"``: about a thousand steps, between 10 and 500 epochs.
    lr : float, default=0.0001
        Learning rate of the blocks at the first step; it decays to zero by a cosine. A tenth of that of
        :class:`sktransfer.TransferClassifier`: larger steps are certain of more, and of the wrong classes.
    batch_size : int or "auto", default="auto"
        As in :class:`sktransfer.TransferClassifier`.
    device : str, default="auto"
        As in :class:`sktransfer.TransferClassifier`.
    n_jobs : int or None, default=None
        Threads inside ``fit`` and ``predict``; None: 1; -1: as many as torch has.
    random_state : int, RandomState, Generator or None, default=None
        Order of the batches and dropout.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Classes in the order of the columns of ``predict_proba``: that of the source head.
    backbone_ : Backbone
        The adapted network with the source head; what the next fit may begin with.
    shares_ : ndarray of shape (n_classes,)
        Share of each class among the rows of ``fit``, as the source network finds by expectation maximisation.
    agreement_ : float
        Of the half of the rows that the source network is surest of, the share that the adapted network gives the same
        class, or the class of their label.
    adapted_ : bool
        Whether the network was adapted; False if the guard refused.
    history_ : list of dict
        One record an epoch of SHOT: mean loss, and ``moved``, the share of pseudo-labels that changed before it.
    n_iter_ : int
        Number of epochs.
    n_features_in_ : int
        Number of columns, or of channels.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, if `X` was a frame.
    sampling_rate_ : float or None
        Samples a second of the windows, in Hz, if `X` was :class:`Windows` and told; None for rows.
    window_fields_ : dict of str to str
        As in :class:`TransferClassifier`.
    fits_source_ : bool
        Whether the rows of ``fit`` looked to the backbone as those of its source did.
    n_outputs_ : int
        Number of classes.
    device_ : str
        Where the network is now.

    See Also
    --------
    SourceClassifier : The same network as it is: what an adaptation must not fall below.
    TransferClassifier : Learns from labelled rows, new classes too.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import SourceFreeClassifier, TransferClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(3, size=600)
    >>> X = 3 * np.eye(3)[y] + rng.normal(size=(600, 3))
    >>> source = TransferClassifier(random_state=0).fit(X[:400], y[:400])
    >>> moved = X[400:] + [1.5, -1, 0]  # another machine, and nobody has labelled its rows
    >>> target = SourceFreeClassifier(source.backbone_).fit(moved)
    >>> target.score(moved, y[400:]) > source.score(moved, y[400:]) + 0.05
    True
    """

    _parameter_constraints = {
        **SourceClassifier._parameter_constraints,
        "method": [SHOT, AdaBN, None],
        "unlabelled_label": "no_validation",
        "guard": ["boolean"],
        "max_epochs": [Interval(Integral, 1, None, closed="left"), Options(str, {"auto"})],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 2, None, closed="left"), Options(str, {"auto"})],
        "random_state": ["random_state", np.random.Generator],
    }
    _learns = True

    def __init__(
        self,
        backbone=None,
        method=None,
        *,
        classes=None,
        unlabelled_label=-1,
        guard=True,
        max_epochs="auto",
        lr=0.0001,
        batch_size="auto",
        device="auto",
        n_jobs=None,
        random_state=None,
    ):
        self.backbone = backbone
        self.method = method
        self.classes = classes
        self.unlabelled_label = unlabelled_label
        self.guard = guard
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state

    @with_callbacks
    def fit(self, X, y=None):
        """Adapt the blocks to rows of the machine at hand.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)
            Rows, or windows, as the backbone takes them, scaled as those of its source were; at least 2.
        y : array-like of shape (n_samples,), optional
            Labels of some rows, ``unlabelled_label`` for the others; classes of the source head. Rows of other classes
            count as rows without a label, and a warning says so.

        Returns
        -------
        self : SourceFreeClassifier

        Raises
        ------
        ValueError
            If the backbone has no source head of classes or not those of ``classes``, if columns, channels, length
            or sampling rate do not fit it, if there are fewer than 2 rows, or if training diverges.
        """
        return self._fit(X, y)

    def _fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Any:
        self._forget()
        self._check_parameters()
        seed = draw_seed(self.random_state)
        try:
            self._adapt(self._make_ready(X), y, seed)
        except BaseException:
            self._forget()  # what was made ready is the network of the source
            raise
        return self

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if isinstance(method := self._method, SHOT):
            method.check(len(self._known_classes()))
        else:
            method.batch_norm()

    @property
    def _method(self) -> SHOT | AdaBN:
        return AdaBN() if self.method is None else self.method

    def _adapt(self, X: np.ndarray, y: Any, seed: int) -> None:
        name, backbone = type(self).__name__, self.backbone_
        if len(X) < 2:
            raise ValueError(f"{name} needs at least 2 rows to adapt to, got n_samples = {len(X)}: 1 sample.")
        labels = self._codes(y, len(X))
        names = column_names(self, X.shape[1])
        warn_of_quality(name, X, names if X.ndim == 2 else [])
        if not self.fits_source_:
            warn_of_foreign(name, backbone, len(X), learned=False)
        from sktransfer.training.rows import merge_copies

        # in an order that does not depend on that of the rows as they came
        merged = merge_copies(prepared(name, X, backbone, names, self._dtype), labels, np.ones(len(X)))
        rows, labels = (np.repeat(part, merged.weight.astype(np.int64), axis=0) for part in merged[:2])
        with capped_threads(self.n_jobs), FitTask(self, X, y, self._n_epochs(len(rows))) as progress:
            self._train(rows, labels, seed, progress)

    def _train(self, rows: np.ndarray, labels: np.ndarray, seed: int, progress: FitTask) -> None:
        # imported where something is fitted, never for predict: all that trains needs torch
        from sktransfer.training import source_free

        backbone, method, arrays = self.backbone_, self._method, self._predictor.arrays
        module = source_free.source_module(backbone, arrays, self.n_outputs_, self.device, self._dtype)
        before = source_free.outputs_of(module, rows)
        self.shares_ = estimated_shares(softmax(before.copy()))
        self.history_: list[dict[str, Any]] = []
        if isinstance(method, AdaBN):
            source_free.measure(backbone.name, module, rows, method.batch_norm())
        else:
            self._warn_of_shares(method)
            plan = source_free.SourceFreePlan(
                max_epochs=self._n_epochs(len(rows)),
                batch_size=self._batch_size(len(rows)),
                lr=float(self.lr),
                seed=seed,
                prior=method.shares(self.shares_),
                on_epoch=progress.epoch,
            )
            self.history_ = source_free.run_shot(module, rows, labels, method, plan)
        self.n_iter_ = len(self.history_)
        self.agreement_ = agreement_of_surest(before, source_free.outputs_of(module, rows), labels)
        self.adapted_ = not (self.guard and self.agreement_ < _AGREED)
        if self.adapted_:
            source = self._used_source(backbone)
            self.backbone_ = source_free.finish_source_free(self, backbone, module, source, rows)
            self._predictor = Predictor(self.backbone_, LinearHead(), self.n_outputs_, arrays)
            self.device_ = str(module.device)
        else:
            warn_caller(
                f"{type(self).__name__}: the adaptation by {method!r} is refused, and the source network answers as it "
                f"is. Of the half of the rows that it is surest of, the adapted network changed "
                f"{1 - self.agreement_:.0%} to another class, and more than {1 - _AGREED:.0%} mostly did harm. Label "
                "some rows, restrict classes to those that occur, try another method, or pass guard=False.",
                DataQualityWarning,
            )

    def _used_source(self, backbone: Backbone) -> Source:
        """What the backbone remembers of its source, without the rows of classes that cannot occur."""
        source, (weight, bias) = self._head(backbone)
        return Source(source.feature_mean, source.feature_scale, weight, bias, self._classes)

    def _codes(self, y: Any, n_rows: int) -> np.ndarray:
        """Numbers of the classes of the rows, -1 of rows without a label; shape (n_rows,)."""
        name, codes = type(self).__name__, np.full(n_rows, -1, dtype=np.int64)
        if y is None:
            return codes
        numbers = {label: code for code, label in enumerate(self._classes.tolist())}
        if self.unlabelled_label in numbers:
            raise ValueError(
                f"{name}: unlabelled_label={self.unlabelled_label!r} is a class of the source head, so it cannot mark "
                "the rows of y that have no label. Pass another unlabelled_label, or fit(X) without y."
            )
        if getattr(y, "dtype", None) == np.float64 and not _is_missing(self.unlabelled_label):
            check_labels(name, y, n_rows)  # of numbers NaN marks nothing
        unlabelled = unlabelled_rows(name, y, self.unlabelled_label)
        if len(unlabelled) != n_rows:
            raise ValueError(
                f"Found input variables with inconsistent numbers of samples: [{n_rows}, {len(unlabelled)}] (X and y)."
            )
        labels = np.asarray(y, dtype=object)[~unlabelled]
        if len(labels) == 0:
            return codes
        labels = check_labels(name, np.array(labels.tolist()), len(labels))
        check_classification_targets(labels)
        found = labels.tolist()
        if missing := sorted({str(label) for label in found if label not in numbers}):
            warn_caller(
                f"{name}: y holds {len(missing)} of {len(set(found))} classes that are not among those of the source "
                f"head ({listed(missing)}); their rows count as rows without a label, and are never predicted right. "
                "Give them the names that classes_ lists, or learn them with TransferClassifier(backbone).",
                SourceClassWarning,
            )
        codes[~unlabelled] = [numbers.get(label, -1) for label in found]
        return codes

    def _warn_of_shares(self, method: SHOT) -> None:
        """Warn where all classes are taken to be equally common and do not look so."""
        n_classes = len(self.shares_)
        distance = 0.5 * np.abs(self.shares_ - 1 / n_classes).sum()
        if isinstance(method.prior, str) and method.prior == "equal" and distance > _UNEQUAL:
            common = np.argsort(self.shares_)[::-1][:3]
            named = ", ".join(f"{self._classes.tolist()[k]!r} {self.shares_[k]:.0%}" for k in common)
            warn_caller(
                f"{type(self).__name__}: SHOT(prior='equal') takes all {n_classes} classes to be equally common, but "
                f"the source network finds other shares in these rows ({named}). Pass the shares you expect as "
                "SHOT(prior=...), or SHOT(prior='estimate') for those that it finds.",
                DataQualityWarning,
            )

    def __sklearn_is_fitted__(self) -> bool:
        return "_predictor" in self.__dict__

    @property
    def classes_(self) -> np.ndarray:
        """Classes in the order of the columns of ``predict_proba``."""
        if "_predictor" not in self.__dict__:
            raise AttributeError(f"{type(self).__name__} is not fitted, so it has no classes_.")
        return self._classes

    def _ready(self, X: Any) -> Any:
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = True
        tags.non_deterministic = False
        return tags
