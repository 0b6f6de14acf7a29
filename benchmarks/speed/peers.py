"""What one would write without this package: skorch as its documentation shows it, and loops in plain torch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from skorch import NeuralNetClassifier
from skorch.callbacks import Freezer
from torch import nn
from torch.nn import functional

from benchmarks.speed.net import PlainNet
from benchmarks.speed.problem import Problem

Predict = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Recipe:
    """How every peer trains; the defaults are those of the standard problem."""

    epochs: int = 20
    batch_size: int = 256
    lr: float = 1e-3
    weight_decay: float = 0.0
    dropout: float = 0.5
    width: int = 64
    device: str = "cpu"


def skorch_net(problem: Problem, n_frozen: int, recipe: Recipe) -> NeuralNetClassifier:
    """The idiom: Adam, the default DataLoader, no validation split, and the Freezer on the frozen blocks.

    Freezer stops gradients, but BatchNorm's statistics go on moving in the frozen blocks; that is left as it is.
    """
    frozen = [f"backbone.{depth}.*" for depth in range(n_frozen)]
    return NeuralNetClassifier(
        PlainNet,
        module__blocks=problem.blocks(),
        module__n_features=problem.backbone.n_features_out,
        module__n_outputs=problem.n_classes,
        module__dropout=recipe.dropout,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=recipe.lr,
        max_epochs=recipe.epochs,
        batch_size=recipe.batch_size,
        iterator_train__shuffle=True,
        train_split=None,
        callbacks=[Freezer(frozen)] if frozen else None,
        verbose=0,
        device=recipe.device,
    )


def fit_skorch(problem: Problem, n_frozen: int, recipe: Recipe) -> Predict:
    """One fit of the idiom."""
    return skorch_net(problem, n_frozen, recipe).fit(problem.X, problem.y).predict


def in_inference(blocks: nn.Sequential, X: torch.Tensor, chunk: int = 1024) -> torch.Tensor:
    """What frozen blocks return, in chunks that stay in the processor's cache."""
    if not len(blocks):
        return X
    blocks.eval()
    with torch.no_grad():
        return torch.cat([blocks(X[start : start + chunk]) for start in range(0, len(X), chunk)])


def new_head(n_features: int, n_classes: int, recipe: Recipe) -> nn.Sequential:
    """The head that every loop begins with."""
    torch.manual_seed(0)
    head = nn.Sequential(
        nn.Linear(n_features, recipe.width), nn.ReLU(), nn.Dropout(recipe.dropout), nn.Linear(recipe.width, n_classes)
    )
    return head.to(recipe.device)


def train_slices(upper: nn.Sequential, head: nn.Sequential, X: torch.Tensor, y: torch.Tensor, recipe: Recipe) -> None:
    """Train `upper` and `head` on rows that lie in memory: a permutation an epoch, slices by index, fused Adam.

    BatchNorm in `upper` keeps the source's statistics, as ours does.
    """
    upper.eval()
    head.train()
    parameters = [*upper.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=recipe.lr, weight_decay=recipe.weight_decay, fused=True)
    for _ in range(recipe.epochs):
        order = torch.randperm(len(X), device=X.device)
        for index in order.split(recipe.batch_size):
            loss = functional.cross_entropy(head(upper(X[index])), y[index])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
    head.eval()


def fit_loop(problem: Problem, n_frozen: int, recipe: Recipe) -> Predict:
    """The loop an expert writes: the frozen blocks run once, the rest trains on what they returned."""
    blocks = problem.blocks().requires_grad_(True).to(recipe.device)
    lower, upper = blocks[:n_frozen], blocks[n_frozen:]
    X, y = torch.from_numpy(problem.X).to(recipe.device), torch.from_numpy(problem.y).to(recipe.device)
    head = new_head(problem.backbone.n_features_out, problem.n_classes, recipe)
    train_slices(upper, head, in_inference(lower, X), y, recipe)
    return predictor(nn.Sequential(*blocks, *head), recipe.device)


def predictor(network: nn.Sequential, device: str) -> Predict:
    """Codes of rows, for the score of a trained network."""

    def predict(X: np.ndarray) -> np.ndarray:
        return in_inference(network, torch.from_numpy(X).to(device)).argmax(dim=1).cpu().numpy()

    return predict


@dataclass
class FlatHead:
    """A head of two layers whose weights are views into one buffer, with its gradient written by hand."""

    n_features: int
    width: int
    n_classes: int
    weights: torch.Tensor
    gradient: torch.Tensor

    @classmethod
    def of(cls, head: nn.Sequential, device: str) -> FlatHead:
        """Copy the weights of a torch head."""
        first, last = head[0], head[-1]
        weights = torch.cat([p.detach().flatten() for p in (first.weight, first.bias, last.weight, last.bias)])
        weights = weights.to(device)
        return cls(first.in_features, first.out_features, last.out_features, weights, torch.zeros_like(weights))

    def views(self, flat: torch.Tensor) -> list[torch.Tensor]:
        """Both layers' weights and biases as views into `flat`."""
        shapes = [(self.width, self.n_features), (self.width,), (self.n_classes, self.width), (self.n_classes,)]
        sizes = [int(np.prod(shape)) for shape in shapes]
        return [part.view(shape) for part, shape in zip(flat.split(sizes), shapes, strict=True)]

    def backward(self, X: torch.Tensor, y: torch.Tensor, dropout: float) -> None:
        """Write the gradient of the mean cross-entropy."""
        w1, b1, w2, b2 = self.views(self.weights)
        g1, gb1, g2, gb2 = self.views(self.gradient)
        hidden = torch.addmm(b1, X, w1.t())
        keep = (hidden > 0).float()
        if dropout:
            keep *= torch.empty_like(keep).bernoulli_(1 - dropout).div_(1 - dropout)
        hidden.mul_(keep)
        error = torch.softmax(torch.addmm(b2, hidden, w2.t()), dim=1)
        error[torch.arange(len(y), device=y.device), y] -= 1
        error.div_(len(y))
        torch.mm(error.t(), hidden, out=g2)
        torch.sum(error, dim=0, out=gb2)
        below = (error @ w2).mul_(keep)
        torch.mm(below.t(), X, out=g1)
        torch.sum(below, dim=0, out=gb1)


@torch.no_grad()
def fit_by_hand(problem: Problem, recipe: Recipe) -> Predict:
    """The limit of a loop in torch: cached features, hand-written backward pass, Adam on one flat buffer."""
    blocks = problem.blocks().to(recipe.device)
    X, y = torch.from_numpy(problem.X).to(recipe.device), torch.from_numpy(problem.y).to(recipe.device)
    features = in_inference(blocks, X)
    head = new_head(features.shape[1], problem.n_classes, recipe)
    flat = FlatHead.of(head, recipe.device)
    mean, square, step = torch.zeros_like(flat.weights), torch.zeros_like(flat.weights), 0
    for _ in range(recipe.epochs):
        for index in torch.randperm(len(X), device=X.device).split(recipe.batch_size):
            flat.backward(features[index], y[index], recipe.dropout)
            step += 1
            mean.lerp_(flat.gradient, 0.1)
            square.mul_(0.999).addcmul_(flat.gradient, flat.gradient, value=0.001)
            root = (square / (1 - 0.999**step)).sqrt_().add_(1e-8)
            flat.weights.addcdiv_(mean, root, value=-recipe.lr / (1 - 0.9**step))
    for parameter, view in zip(head.parameters(), flat.views(flat.weights), strict=True):
        parameter.copy_(view)
    return predictor(nn.Sequential(*blocks, *head), recipe.device)


def candidate_recipe(recipe: Recipe, candidate: dict) -> Recipe:
    """The recipe of one candidate of a search; ``n_frozen`` is no part of it."""
    return replace(recipe, **{key: value for key, value in candidate.items() if key != "n_frozen"})


def train_candidate(
    problem: Problem, candidate: dict, recipe: Recipe, cached: torch.Tensor, y: torch.Tensor
) -> nn.Sequential:
    """What stands above the frozen blocks, trained on what they returned."""
    recipe = candidate_recipe(recipe, candidate)
    upper = copy.deepcopy(problem.blocks()[candidate["n_frozen"] :]).requires_grad_(True).to(recipe.device)
    head = new_head(problem.backbone.n_features_out, problem.n_classes, recipe)
    train_slices(upper, head, cached, y, recipe)
    return nn.Sequential(*upper, *head)


def search_loop(
    problem: Problem, candidates: Sequence[dict], folds: Sequence[tuple[np.ndarray, np.ndarray]], recipe: Recipe
) -> dict:
    """A grid search one fit at a time: scale by each fold's rows, run the frozen blocks once a fold, refit the best."""
    blocks = problem.blocks().to(recipe.device)
    scores = np.zeros(len(candidates))
    depths = {candidate["n_frozen"] for candidate in candidates}
    y = torch.from_numpy(problem.y).to(recipe.device)
    everything = np.arange(len(problem.X))
    for train, test in folds:
        X = torch.from_numpy(scaled(problem.X, train)).to(recipe.device)
        cache = {depth: in_inference(blocks[:depth], X) for depth in depths}
        for number, candidate in enumerate(candidates):
            rows = cache[candidate["n_frozen"]]
            network = train_candidate(problem, candidate, recipe, rows[train], y[train])
            scores[number] += float((in_inference(network, rows[test]).argmax(dim=1) == y[test]).float().mean())
    best = candidates[int(scores.argmax())]
    X = torch.from_numpy(scaled(problem.X, everything)).to(recipe.device)
    train_candidate(problem, best, recipe, in_inference(blocks[: best["n_frozen"]], X), y)
    return {**best, "score": scores.max() / len(folds)}


def scaled(X: np.ndarray, train: np.ndarray) -> np.ndarray:
    """All rows by mean and standard deviation of the training rows."""
    mean, scale = X[train].mean(axis=0, dtype=np.float64), X[train].std(axis=0, dtype=np.float64)
    return ((X - mean) / scale).astype(np.float32)
