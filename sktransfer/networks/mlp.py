"""The network for rows of a table."""

from collections.abc import Sequence

from torch import nn

from sktransfer.networks.layers import mlp_layers
from sktransfer.networks.registry import add_layers, register_network
from sktransfer.utils.parameters import check_dropout, check_sizes


@register_network("mlp")
class MLP(nn.Sequential):
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
        add_layers(self, mlp_layers(n_features_in, hidden_layer_sizes, dropout, batch_norm))

    @property
    def block_names(self) -> list[str]:
        """Names of the blocks, counted from the input."""
        return list(self._modules)
