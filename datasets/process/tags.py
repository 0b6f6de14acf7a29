"""From the signals of a plant to what its historian stores: slow analysers, converter steps, physical units."""

from __future__ import annotations

import numpy as np

from datasets.process.plant import NODE_KINDS

#: Kinds of tags: those of the nodes, and controller outputs.
TAG_KINDS = (*NODE_KINDS, "output")


def rows_of_tags(plant, measured, outputs, first):
    """Tags of a run from row `first` on, in typical variations.

    Parameters
    ----------
    plant : Plant
    measured : ndarray of shape (n_rows, n_nodes)
    outputs : ndarray of shape (n_rows, n_loops)
    first : int

    Returns
    -------
    ndarray of shape (n_tags, n_rows - first)
    """
    rows = np.concatenate([measured, outputs], axis=1)[first:, plant.tag_of].T
    for tag in np.flatnonzero(plant.hold > 1):  # an analyser shows its last result until the next one
        every = plant.hold[tag]
        rows[tag] = rows[tag, np.arange(rows.shape[1]) // every * every]
    coarse = np.flatnonzero(plant.resolution)
    step = plant.resolution[coarse, None]
    rows[coarse] = step * np.round(rows[coarse] / step)
    return rows


def to_raw(plant, rows):
    """Tags in physical units, float32: ``offset + scale * rows``."""
    offset, scale = plant.raw
    return (offset[:, None] + scale[:, None] * rows).astype(np.float32)
