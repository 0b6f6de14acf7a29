"""BaselineScaler under the names of scikit-learn's scalers: every row is healthy, nothing is compressed or clipped."""

from sktransfer import BaselineScaler


class StandardScaler(BaselineScaler):
    """Mean and standard deviation of all rows. Only what scikit-learn's tests call by another name is added."""

    def __init__(self, *, copy=True, normal_label=None, method="standard", compress=False, clip=None, missing="error"):
        super().__init__(normal_label, method=method, compress=compress, clip=clip, missing=missing)
        self.copy = copy

    def transform(self, X, copy=None):
        return super().transform(X)

    def fit_transform(self, X, y=None):
        return self.fit(X, y).transform(X)

    def inverse_transform(self, X, copy=None):
        return X * self.scale_[0] + self.center_[0]

    @property
    def mean_(self):
        return self.center_[0]

    @property
    def var_(self):
        return self.scale_[0] ** 2

    @property
    def n_samples_seen_(self):
        return self.n_normal_[0]


class RobustScaler(StandardScaler):
    """Median and interquartile range of all rows."""

    def __init__(self, *, copy=True, normal_label=None, method="robust", compress=False, clip=None, missing="error"):
        super().__init__(
            copy=copy, normal_label=normal_label, method=method, compress=compress, clip=clip, missing=missing
        )
