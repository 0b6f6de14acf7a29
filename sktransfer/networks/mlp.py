"""The network for rows of a table."""

from collections.abc import Sequence

from torch import nn

from sktransfer.networks.chain import Chain
from sktransfer.networks.registry import register_network
from sktransfer.utils.parameters import check_dropout, check_sizes


@register_network("mlp")
class MLP(Chain):
    """Blocks of Linear, BatchNorm, ReLU and Dropout.

    **Shape**

    - Input: ``(n_samples, n_features_in)``
    - Output: ``(n_samples, hidden_layer_sizes[-1])``

    Parameters
    ----------
    n_features_in : int
        Number of columns.
    hidden_layer_sizes : sequence of int, default=(256, 256, 256)
        Width of each block; the last one is the number of features.
    dropout : float, default=0.0
        Share of a block's outputs set to zero in training, in [0, 1).
    batch_norm : bool, default=True
        Whether each block normalises by batch statistics after its linear layer.

    Examples
    --------
    >>> import torch
    >>> from sktransfer import MLP
    >>> net = MLP(3, hidden_layer_sizes=(8, 4))
    >>> net.block_names
    ['block1', 'block2']
    >>> net(torch.randn(2, 3)).shape
    torch.Size([2, 4])
    """

    def __init__(
        self,
        n_features_in: int,
        hidden_layer_sizes: Sequence[int] = (256, 256, 256),
        dropout: float = 0.0,
        batch_norm: bool = True,
    ):
        super().__init__()
        check_sizes("MLP", hidden_layer_sizes)
        check_dropout("MLP", dropout)
        width = n_features_in
        for depth, size in enumerate(hidden_layer_sizes, start=1):
            # BatchNorm takes any bias out again; without a gradient it would follow rounding errors
            layers: list[nn.Module] = [nn.Linear(width, size, bias=not batch_norm)]
            if batch_norm:
                layers.append(nn.BatchNorm1d(size))
            layers += [nn.ReLU(), nn.Dropout(dropout)]
            self.add_module(f"block{depth}", nn.Sequential(*layers))
            width = size
