"""Transformers that come before a network: scalers, lagged columns, envelope spectra."""
