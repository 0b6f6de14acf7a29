"""FeatureExtractor: the frozen backbone as a scikit-learn transformer.

::

    X -> [block 1] -> [block 2] -> ... -> features -> any scikit-learn estimator
"""

from __future__ import annotations

import os
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.by_tag import cut_at
from sktransfer.backbones.check_input import check_input, prepared, tag_dimensions
from sktransfer.backbones.from_scratch import FromScratch, open_backbone, resolve
from sktransfer.backbones.persistence import content_key
from sktransfer.inference.foreign_rows import are_far, samples_look_foreign, warn_of_foreign
from sktransfer.inference.predictor import features
from sktransfer.utils.callbacks import CallbackSupport, FitTask, with_callbacks
from sktransfer.utils.checksums import Checksummed
from sktransfer.utils.parameters import Interval, Options, TorchDevice
from sktransfer.utils.random import draw_seed
from sktransfer.validation.rows import column_names


class FeatureExtractor(Checksummed, CallbackSupport, ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Turn rows of a table, or windows of signals, into the features of a frozen backbone.

    Parameters
    ----------
    backbone : Backbone, FromScratch, str, path or None, default=None
        The pretrained network; its dimensions decide whether `X` is rows or windows. None: an untrained one, the "no
        transfer" baseline (random features).
    block : str or None, default=None
        Name of the block whose output is returned; None: the last one. Of a network that keeps channels (tags) apart
        before it pools them, as "process" does: ``"tag"``, ``"pooled"`` or ``"both"``, as in
        :class:`sktransfer.TransferClassifier`.
    standardize : bool, default=True
        Whether features of the last block, and those by tag, are standardised by the source's statistics, where the
        backbone has them.
        Linear models on top converge faster and score better then.
    device : str, default="auto"
        As in :class:`sktransfer.TransferClassifier`.
    n_jobs : int or None, default=None
        Torch threads; None: 1; -1: as many as torch has.
    random_state : int, RandomState, Generator or None, default=None
        Drives the weights of an untrained network.

    Attributes
    ----------
    backbone_ : Backbone
        The backbone in use.
    n_features_in_ : int
        Number of columns, or of channels.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Column names, if `X` was a frame.
    column_names_in_ : tuple of length n_features_in_
        Column names that are no text (numbers, a MultiIndex), or those of the frame that a scaler was given.
    channel_names_in_ : tuple of length n_features_in_
        Names of the channels, if `X` was :class:`Windows` that know them.
    sampling_rate_ : float or None
        Samples a second of the windows, in Hz, if `X` was :class:`Windows` and told; None for rows.
    window_fields_ : dict of str to str
        Whether ``"all"``, ``"some"`` or ``"none"`` of the windows of ``fit`` knew their ``sampling_rate``, ``rpm`` and
        ``orders``, if the backbone reads them.
    standardizes_by_source : bool
        Whether features come in deviations of the source: `standardize` asks for it, and the backbone has the
        statistics of these features.

    Notes
    -----
    A search over what stands behind the extractor computes the features of each fold's training rows once, whatever
    the number of candidates, if the pipeline keeps them: ``make_pipeline(FeatureExtractor(backbone), SVC(),
    memory="cache")``. The key is the parameters and the rows; equal backbones are one key, in every process. Of a
    backbone that is given by its path, the content of the file is part of the key. scikit-learn keeps what fits
    return; rows that are only scored run through the backbone for each candidate.

    Examples
    --------
    >>> import numpy as np
    >>> from sktransfer import FeatureExtractor
    >>> X = np.random.default_rng(0).normal(size=(5, 3))
    >>> FeatureExtractor(random_state=0).fit_transform(X).shape
    (5, 256)
    """

    _parameter_constraints: dict[str, Any] = {
        "backbone": [Backbone, FromScratch, str, os.PathLike, None],
        "block": [str, None],
        "standardize": ["boolean"],
        "device": [str, TorchDevice()],
        "n_jobs": [Interval(Integral, 1, None, closed="left"), Options(Integral, {-1}), None],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(self, backbone=None, *, block=None, standardize=True, device="auto", n_jobs=None, random_state=None):
        self.backbone = backbone
        self.block = block
        self.standardize = standardize
        self.device = device
        self.n_jobs = n_jobs
        self.random_state = random_state

    @with_callbacks
    def fit(self, X, y=None):
        """Check columns or channels; nothing is learned from them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)
            Rows, or windows, as the backbone takes them, scaled as those of its source were.
        y : ignored

        Returns
        -------
        self : FeatureExtractor

        Raises
        ------
        ValueError
            If columns, channels, length or sampling rate do not fit the backbone, or it has no such block.
        """
        self._validate_params()
        with FitTask(self, X, y, 0, fits_it=True):
            return self._fit(X)

    def _fit(self, X):
        opened = open_backbone(self.backbone)
        X = check_input(self, X, opened, reset=True)
        backbone, untrained = resolve(opened, X.shape[1:], draw_seed(self.random_state))
        self.backbone_, self._stop = cut_at("FeatureExtractor", backbone, self.block, X.shape[1], untrained=untrained)
        if not untrained and samples_look_foreign(self, backbone, X):
            warn_of_foreign(type(self).__name__, backbone, len(X), learned=False)
        self._standardized = bool(self.standardize)
        self._n_features_out = self._features(X[:1], warn=False).shape[1]
        return self

    def transform(self, X):
        """Features of rows or windows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or (n_windows, n_channels, window_length)
            As in ``fit``.

        Returns
        -------
        ndarray of shape (n_samples, n_features_out), float32
            A block that keeps channels or time apart returns them one after the other, in the order of the channels.

        Raises
        ------
        ValueError
            If `X` is not as in ``fit`` (columns, channels, sampling rate), or a feature is not finite.
        """
        check_is_fitted(self)
        found = self._features(check_input(self, X, self.backbone_, reset=False))
        if found.shape[1] != self._n_features_out:
            raise ValueError(
                f"FeatureExtractor: block {self.block!r} returns {found.shape[1]} features for these windows, and "
                f"{self._n_features_out} for those of fit. Pass windows of the length of fit, or use the last block."
            )
        if not np.isfinite(found).all():
            raise ValueError("FeatureExtractor: the backbone returned features that are not finite for these rows.")
        return found

    def _features(self, X: np.ndarray, warn: bool = True) -> np.ndarray:
        """Features of checked rows or windows; they are prepared chunk by chunk."""
        name, names = type(self).__name__, column_names(self, self.n_features_in_)
        backbone, stop = self.backbone_, self._stop  # parameters may be set after the fit
        found = features(
            backbone, X, stop, self.device, self.n_jobs, lambda chunk: prepared(name, chunk, backbone, names)
        )
        source = backbone.source
        if source is not None and self.standardizes_by_source:
            found = (found - source.feature_mean) / source.feature_scale
            if warn and are_far(found):
                warn_of_foreign(name, backbone, len(X), learned=False)
        return np.asarray(found.reshape(len(X), -1), dtype=np.float32)

    @property
    def standardizes_by_source(self) -> bool:
        """Whether features come in deviations of the source: `standardize` asks for it, and there are statistics."""
        check_is_fitted(self)
        return self._standardized and self._stop == len(self.backbone_.blocks) and self.backbone_.source is not None

    def __getstate__(self):
        state = super().__getstate__()
        if "backbone_" not in self.__dict__:
            state["_content"] = content_key(self.backbone)
        return state

    def __setstate__(self, state):
        super().__setstate__({key: value for key, value in state.items() if key != "_content"})

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tag_dimensions(tags, self.backbone)
