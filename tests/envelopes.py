"""What the tests of envelope spectra share: windows of noise."""

import numpy as np


def noise(n_windows=5, n_channels=2, length=2048, seed=0):
    return np.random.default_rng(seed).normal(size=(n_windows, n_channels, length))
