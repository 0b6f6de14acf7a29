"""Raw windows of a fit, kept where batches are augmented ahead of a front end.

::

    raw windows of a batch --augment--> --front end, with the speed and orders of each window--> [block 1] -> ...
    all windows            -----------> --front end, once a fit-----------------------------> frozen features, head
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from sktransfer.backbones.backbone import Backbone
from sktransfer.backbones.check_input import prepared
from sktransfer.networks.transfer_module import as_tensor
from sktransfer.windows.windows import same_fields


@dataclass
class RawWindows:
    """Windows as an augmentation takes them, and the backbone whose front end comes after it.

    Parameters
    ----------
    X : ndarray of shape (n_windows, n_channels, window_length)
        :class:`Windows` if they know how they were sampled.
    backbone : Backbone
    """

    X: np.ndarray
    backbone: Backbone

    def tensor(self, device: torch.device) -> torch.Tensor:
        """The windows on `device`."""
        return as_tensor(np.asarray(self.X)).to(device)

    def prepare(self, x: torch.Tensor, index: torch.Tensor) -> torch.Tensor:
        """`x`, made of the windows at `index`, as the first block takes it; the front end computes on the CPU.

        Raises
        ------
        ValueError
            If the front end returns what is no number.
        """
        windows = same_fields(self.X[index.cpu().numpy()], x.cpu().numpy())
        return as_tensor(prepared("Augmentation", windows, self.backbone, [])).to(x.device)
