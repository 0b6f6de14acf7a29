"""Transformers that come before a network: scalers, lagged columns, envelope spectra.

Each is a scikit-learn transformer of rows or of windows. Scalers learn offset and scale of a machine from its healthy
rows. A front end is a transformer without parameters that a backbone names, so that its inputs are always prepared as
its source's were.
"""
