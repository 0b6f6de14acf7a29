"""MultiTaskTransfer: fault, severity and remaining life from one network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.metrics import accuracy_score, r2_score

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.source import Source
from sktransfer.estimators.base import TransferEstimator
from sktransfer.estimators.class_predictions import softmax
from sktransfer.inference.out_of_range import count_out_of_range, lowered, warn_of_range
from sktransfer.networks.heads import LinearHead
from sktransfer.utils.callbacks import with_callbacks
from sktransfer.utils.parameters import InvalidParameterError
from sktransfer.utils.precision import least_spread
from sktransfer.validation.labels import check_labels, check_values
from sktransfer.validation.quality import warn_of_single_rows
from sktransfer.validation.task_labels import TaskLabels, task_labels

if TYPE_CHECKING:
    from sktransfer.training.multi_task import MultiTask

CLASSIFICATION, REGRESSION = "classification", "regression"


class MultiTaskTransfer(TransferEstimator):
    """Several tasks at once: one backbone, and a head with the outputs of all tasks.

    What one task says of the machine helps the others: a network that tells faults and their severity has features of
    both. Each task learns from the rows that have its label. What is learned goes on to a single task by
    :meth:`backbone_for`.

    Parameters
    ----------
    backbone : Backbone, FromScratch, str, path or None, default=None
        As in :class:`sktransfer.TransferClassifier`.
    tasks : dict or None, default=None
        ``"classification"`` or ``"regression"`` of each task, by its name. None, and tasks that it does not name:
        regression for floating-point numbers that are not all whole, else classification.
    block : {"auto", "tag", "pooled", "both"}, default="auto"
        As in :class:`sktransfer.TransferClassifier`.
    head : LinearHead, MLPHead or None, default=None
        The new network on top; None: ``LinearHead()``.
    strategy : Strategy or None, default=None
        What may change; None: ``ProbeThenTune()`` if there is a backbone, full training if there is none.
    max_epochs : int or "auto", default="auto"
        Passes over the rows; ``"auto"``: about a thousand steps, as in :class:`sktransfer.TransferClassifier`.
    lr : float, default=0.001
        Learning rate of the head.
    batch_size : int or "auto", default="auto"
        Rows in a step.
    callbacks : list or None, default=None
        Callbacks of skorch.
    device : str, default="auto"
        ``"cpu"``, ``"cuda"``, or ``"auto"``: CUDA where there is one.
    n_jobs : int or None, default=None
        Threads inside ``fit`` and ``predict``; None: 1.
    random_state : int, RandomState, Generator or None, default=None
        Drives initial weights, batch order and dropout, by generators of its own.

    Attributes
    ----------
    task_names_ : list
        Keys of the dict, columns of the frame, or numbers of the columns of ``y``.
    tasks_ : dict
        ``"classification"`` or ``"regression"`` of each task.
    classes_ : dict of name to ndarray
        Classes of each classification, in the order of the columns of its probabilities.
    n_labels_ : dict of name to int
        Rows that had a label of each task.
    backbone_ : Backbone
        The backbone after this fit, without a source head; see :meth:`backbone_for`.
    history_, n_iter_, n_features_in_, feature_names_in_, fits_source_, n_outputs_, device_
        As in :class:`sktransfer.TransferClassifier`; ``n_outputs_`` counts the outputs of all tasks.

    See Also
    --------
    TransferClassifier : One task of classes.
    TransferRegressor : Values, also several at once.

    Notes
    -----
    The loss is the mean of the tasks' losses, each over the rows that have its label and divided by what equal
    probabilities, or the mean, would cost. Probabilities are not divided by a temperature; those of a
    :class:`sktransfer.TransferClassifier` that begins with :meth:`backbone_for` are.

    References
    ----------
    Caruana (1997). Multitask learning. Machine Learning 28, 41-75. doi:10.1023/A:1007379606734.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import MultiTaskTransfer, TransferClassifier
    >>> X = np.random.default_rng(0).normal(size=(300, 4)).astype("float32")
    >>> y = {"fault": np.where(X[:, 0] > 0, "leak", "normal"), "life": X[:, 1] * 100 + 500.5}
    >>> both = MultiTaskTransfer(random_state=0).fit(X, y)
    >>> both.tasks_
    {'fault': 'classification', 'life': 'regression'}
    >>> sorted(both.predict(X))
    ['fault', 'life']
    >>> fault = TransferClassifier(both.backbone_for("fault"), random_state=0).fit(X[:40], y["fault"][:40])
    """

    _parameter_constraints = {**TransferEstimator._parameter_constraints, "tasks": [dict, None]}

    def __init__(
        self,
        backbone=None,
        *,
        tasks=None,
        block="auto",
        head=None,
        strategy=None,
        max_epochs="auto",
        lr=0.001,
        batch_size="auto",
        callbacks=None,
        device="auto",
        n_jobs=None,
        random_state=None,
    ):
        self.backbone = backbone
        self.tasks = tasks
        self.block = block
        self.head = head
        self.strategy = strategy
        self.max_epochs = max_epochs
        self.lr = lr
        self.batch_size = batch_size
        self.callbacks = callbacks
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state

    @with_callbacks
    def fit(self, X, y, sample_weight=None):
        """Fit the outputs of all tasks, and what the strategy lets change, to rows of which each has some label.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)
            Rows, or windows, as the backbone takes them, scaled as those of its source were.
        y : dict of name to array-like, frame, or array-like of shape (n_samples, n_tasks) or (n_samples,)
            A column a task. A missing cell (None, NaN) is no label; a row without any teaches nothing.
        sample_weight : array-like of shape (n_samples,), optional
            Weight of each row: whole numbers count rows, of other weights only the ratios count.

        Returns
        -------
        self : MultiTaskTransfer

        Raises
        ------
        ValueError
            If the rows, labels or parameters cannot be used, or training diverges.
        """
        return self._fit(X, y, sample_weight)

    def predict(self, X):
        """Class or value of each task.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)

        Returns
        -------
        dict of name to ndarray of shape (n_samples,), pandas.DataFrame, or ndarray
            As ``y`` was in ``fit``: a dict, a frame, an array of shape (n_samples, n_tasks) or (n_samples,). An array
            of classes beside values holds objects.
        """
        found = self._answers(X)
        answers = {
            task: values if task not in self.classes_ else self.classes_[task][values.argmax(axis=1)]
            for task, values in found.items()
        }
        if self._form == "dict":
            return answers
        if self._form == "vector":
            return next(iter(answers.values()))
        if self._form == "frame":
            import pandas as pd

            return pd.DataFrame(answers)
        mixed = len({values.dtype.kind for values in answers.values()}) > 1
        return np.stack([values.astype(object) if mixed else values for values in answers.values()], axis=1)

    def predict_proba(self, X):
        """Probabilities of the classes of each classification.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)

        Returns
        -------
        dict of name to ndarray of shape (n_samples, n_classes), list of ndarray, or ndarray
            By name where ``y`` was a dict or a frame; for the columns of an array a list, as in scikit-learn; for a
            single column its probabilities.

        Raises
        ------
        ValueError
            If no task has classes.
        """
        found = {task: values for task, values in self._answers(X).items() if task in self.classes_}
        if not found:
            raise ValueError(f"{type(self).__name__}: none of the tasks {self.task_names_} has classes. Use predict.")
        if self._form in ("dict", "frame"):
            return found
        return list(found.values()) if self._form == "table" else next(iter(found.values()))

    def score(self, X, y, sample_weight=None):
        """Mean over tasks of accuracy, or of R2, on the rows that have the task's label.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)
        y : as in ``fit``
        sample_weight : array-like of shape (n_samples,), optional

        Returns
        -------
        float
        """
        found, labels = self._answers(X), task_labels(type(self).__name__, y, len(X))
        if labels.names != self.task_names_:
            raise ValueError(f"y has the tasks {labels.names}; fit had {self.task_names_}.")
        scores = []
        for task, column in zip(labels.names, labels.columns, strict=True):
            there = ~_missing(column)
            weight = None if sample_weight is None else np.asarray(sample_weight)[there]
            if task in self.classes_:
                answer = self.classes_[task][found[task][there].argmax(axis=1)]
                scores.append(accuracy_score(column[there].astype(answer.dtype), answer, sample_weight=weight))
            else:
                scores.append(r2_score(column[there].astype(float), found[task][there], sample_weight=weight))
        return float(np.mean(scores))

    def backbone_for(self, task: Any) -> Backbone:
        """The fitted backbone with the outputs of one task as its source head.

        Parameters
        ----------
        task : object
            Its name in ``y``.

        Returns
        -------
        Backbone
            What a :class:`sktransfer.TransferClassifier` or :class:`sktransfer.TransferRegressor` of this task begins
            with. Without a source head if the head has hidden layers.

        Raises
        ------
        ValueError
            For a task that ``fit`` had not.
        """
        outputs = self._outputs_of(task)
        if not isinstance(self._predictor.head, LinearHead):
            return self.backbone_
        arrays = {name: np.asarray(values, np.float64) for name, values in self._predictor.arrays.items()}
        W, b = arrays["output.weight"][outputs], arrays["output.bias"][outputs]
        if task not in self.classes_:
            center, scale = self._units[task]
            W, b = W * scale, b * scale + center
        source = Source(arrays["standardize.mean"], arrays["standardize.scale"], W, b, self.classes_.get(task))
        own = self.backbone_.source
        return self.backbone_.describe(source=source if own is None else source.rescaled(*_statistics(own)))

    # ---- inside

    def _outputs_of(self, task: Any) -> slice:
        if "_predictor" not in self.__dict__ or task not in self.task_names_:
            known = getattr(self, "task_names_", "none: it is not fitted")
            raise ValueError(f"{type(self).__name__} has no task {task!r}; it has {known}.")
        start = 0
        for name in self.task_names_:
            stop = start + (len(self.classes_[name]) if name in self.classes_ else 1)
            if name == task:
                break
            start = stop
        return slice(start, stop)

    def _answers(self, X: Any) -> dict[Any, np.ndarray]:
        """Probabilities of each classification, values of each regression in the unit of its labels."""
        outputs, confidence = self._outputs(X)
        warn_of_range(type(self).__name__, count_out_of_range(confidence), len(outputs))
        found = {}
        for task in self.task_names_:
            own = outputs[:, self._outputs_of(task)]
            if task not in self.classes_:
                center, scale = self._units[task]
                found[task] = own[:, 0] * scale + center
                continue
            found[task] = softmax(own.copy())
            if confidence is not None and (outside := confidence < 1).any():
                # which of its classes are healthy, no task says: what is not known is shared among all of them
                nobody = np.zeros(found[task].shape[1], dtype=bool)
                found[task][outside] = lowered(found[task][outside], confidence[outside], nobody)
        return found

    def _check_y(self, y: Any, weight: np.ndarray, n_rows: int) -> tuple[np.ndarray, MultiTask]:
        from sktransfer.training.multi_task import MultiTask
        from sktransfer.training.tasks import Classification, Regression

        name = type(self).__name__
        labels = task_labels(name, y, n_rows)
        self._name_tasks(labels)
        tasks: list[Classification | Regression] = []
        encoded = []
        for task, column in zip(labels.names, labels.columns, strict=True):
            there = ~_missing(column)
            self.n_labels_[task] = int((there & (weight > 0)).sum())
            if self.tasks_[task] == CLASSIFICATION:
                classes, codes = self._codes(task, column, there, weight)
                self.classes_[task] = classes
                tasks.append(Classification(classes, None))
                encoded.append(codes[:, None])
            else:
                values, unit = self._standardized(task, column, there, weight)
                self._units[task] = unit
                tasks.append(Regression(np.array([unit[0]]), np.array([unit[1]])))
                encoded.append(np.stack([values, there], axis=1))
        return np.concatenate(encoded, axis=1).astype(np.float64), MultiTask(tasks, encoded, weight)

    def _name_tasks(self, labels: TaskLabels) -> None:
        """Set what is fitted before any label is looked at: names and kinds."""
        stated = self.tasks or {}
        unknown = [task for task in stated if task not in labels.names]
        wrong = {task: kind for task, kind in stated.items() if kind not in (CLASSIFICATION, REGRESSION)}
        if unknown or wrong:
            raise InvalidParameterError(
                f"The 'tasks' parameter of {type(self).__name__} must name tasks of y ({labels.names}) and say "
                f"'classification' or 'regression' of each. Got {self.tasks!r} instead."
            )
        self.task_names_, self._form = labels.names, labels.form
        self.tasks_ = {
            task: stated.get(task) or _kind(column) for task, column in zip(labels.names, labels.columns, strict=True)
        }
        self.classes_: dict[Any, np.ndarray] = {}
        self.n_labels_: dict[Any, int] = {}
        self._units: dict[Any, tuple[float, float]] = {}

    def _codes(
        self, task: Any, column: np.ndarray, there: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Classes of one task and the code of each row; -1 without a label."""
        name = f"{type(self).__name__}, task {task!r}"
        kept = there & (weight > 0)
        if not kept.any():
            raise ValueError(f"{name}: no row has a label. Leave the task out, or label some rows.")
        given = column[kept]
        whole = given.dtype.kind == "f" and (given == np.floor(given)).all()
        given = given.astype(np.int64) if whole else given  # a missing cell made floats of whole numbers
        given = check_labels(name, given, len(given))
        classes, codes, counts = np.unique(given, return_inverse=True, return_counts=True)
        if len(classes) < 2:
            raise ValueError(
                f"{name} needs rows of at least two classes; y holds 1 class: {classes.tolist()}. Leave the task out."
            )
        warn_of_single_rows(name, classes, counts)
        encoded = np.full(len(column), -1.0)
        encoded[kept] = codes
        return classes, encoded

    def _standardized(
        self, task: Any, column: np.ndarray, there: np.ndarray, weight: np.ndarray
    ) -> tuple[np.ndarray, tuple[float, float]]:
        """Standardised values of one task, zero where there is none, and their mean and standard deviation."""
        name = f"{type(self).__name__}, task {task!r}"
        kept = there & (weight > 0)
        if not kept.any():
            raise ValueError(f"{name}: no row has a label. Leave the task out, or label some rows.")
        values = np.zeros(len(column))
        values[there] = check_values(name, column[there].astype(np.float64), int(there.sum()))
        center = float(np.average(values[kept], weights=weight[kept]))
        scale = float(np.sqrt(np.average((values[kept] - center) ** 2, weights=weight[kept])))
        if scale <= least_spread(np.abs(values[kept]).max(keepdims=True), np.float64)[0]:
            scale = 1.0  # a spread below rounding is none
        return np.where(there, (values - center) / scale, 0.0), (center, scale)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags


def _missing(column: np.ndarray) -> np.ndarray:
    import pandas as pd

    return np.asarray(pd.isna(column), dtype=bool)


def _kind(column: np.ndarray) -> str:
    """Regression for floating-point numbers that are not all whole, else classification."""
    if column.dtype.kind != "f":
        return CLASSIFICATION
    given = column[np.isfinite(column)]
    return CLASSIFICATION if len(given) and (given == np.floor(given)).all() else REGRESSION


def _statistics(source: Source) -> tuple[np.ndarray, np.ndarray]:
    return source.feature_mean, source.feature_scale
