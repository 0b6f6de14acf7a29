"""# Question: a network that somebody trained in plain torch, on images: does it help on another camera's images?

From the root of the repository, with the folder that holds ``mnist-usps``::

    python examples/03_torch_network_on_other_images.py ../shared/data

A small 2-D CNN learns the digits of MNIST in an ordinary torch loop. `from_module` makes it a backbone, with its last
layer as the source head, and it is transferred to USPS, the digits of another scanner, with 1, 5 and 20 labels a class.
"""

# %% Setting
import argparse
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from torch import nn

from benchmarks.comparison import Target, compare, from_scratch, source_as_it_is, table, transfer
from sktransfer import LinearProbing, from_module

LABELS = (1, 5, 20)
SAME = FunctionTransformer()  # pixels are between 0 and 1 already


# %% Both sets as (n, 1, 16, 16), numbers between 0 and 1
def load_digits(folder):
    """Images and labels of MNIST and of USPS."""
    with np.load(folder / "mnist-usps" / "mnist_5k_28x28.npz") as data:
        mnist, y_mnist = data["X"].astype(np.float32) / 255, data["y"].astype(np.int64)
    with np.load(folder / "mnist-usps" / "usps_all_16x16.npz") as data:
        usps, y_usps = data["X"].astype(np.float32) / 255, data["y"].astype(np.int64)
    # MNIST leaves a border of 4 pixels around its digits, USPS none
    inner = torch.from_numpy(np.ascontiguousarray(mnist[:, None, 4:24, 4:24]))
    mnist = nn.functional.interpolate(inner, size=16, mode="area").numpy()
    return mnist, y_mnist, usps[:, None], y_usps


# %% The network from elsewhere: torch, and no word of sktransfer
def small_cnn():
    """Two convolutions and two linear layers."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(512, 64),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(64, 10),
    )


def train(net, X, y, epochs=10, seed=0):
    """An ordinary training loop."""
    X, y, order = torch.from_numpy(X), torch.from_numpy(y), torch.Generator().manual_seed(seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    net.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(X), generator=order).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(X[rows]), y[rows]).backward()
            optimizer.step()
    return net.eval()


def pretrain(mnist, y_mnist, epochs=10):
    """The backbone: the last layer is remembered as the head of ten classes, the others are three blocks."""
    torch.manual_seed(0)
    net = train(small_cnn(), mnist, y_mnist, epochs)
    return from_module(net, input_shape=(1, 16, 16), classes=range(10), X=mnist, name="MNIST")


# %% The target: half of USPS may be labelled, the other half is for scoring
def usps_target(usps, y_usps, seed=0):
    """USPS as a `Target`."""
    pool = np.zeros(len(y_usps), dtype=bool)
    pool[np.random.default_rng(seed).permutation(len(y_usps))[: len(y_usps) // 2]] = True
    return Target("USPS", usps[pool], y_usps[pool], usps[~pool], y_usps[~pool], SAME)


def on_pixels(target, state):
    """Logistic regression on the 256 pixels."""
    return make_pipeline(FunctionTransformer(flatten), LogisticRegression(max_iter=2000))


def flatten(images):
    """One row an image."""
    return images.reshape(len(images), -1)


def run(folder, draws=10, labels=LABELS, epochs=10, n_jobs=1):
    """Scores of all methods, and of the source network without a label of the target."""
    mnist, y_mnist, usps, y_usps = load_digits(folder)
    backbone, target = pretrain(mnist, y_mnist, epochs), usps_target(usps, y_usps)
    methods = {
        "transfer (default)": transfer(backbone),
        "transfer, linear probing": transfer(backbone, strategy=LinearProbing()),
        "same network from scratch": from_scratch(backbone),
        "logistic regression on pixels": on_pixels,
    }
    as_it_is = source_as_it_is(backbone)(target, None).predict(target.X_test)
    scores = compare(target, methods, labels, draws, n_jobs=n_jobs, title="MNIST to USPS")
    return backbone, balanced_accuracy_score(target.y_test, as_it_is), scores


# %% Answer
def main():
    parser = argparse.ArgumentParser(description="A torch network trained on MNIST, transferred to USPS.")
    parser.add_argument("folder", type=Path, help="folder that holds mnist-usps")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=1, help="processes, one torch thread each")
    options = parser.parse_args()
    torch.set_num_threads(1)
    began = time.monotonic()
    backbone, source_score, scores = run(options.folder, options.draws, n_jobs=options.jobs)
    print(f"{backbone}, blocks {backbone.blocks}")
    print(f"source network as it is, no label: balanced accuracy {source_score:.3f}")
    print(f"\nbalanced accuracy on USPS, mean ± standard deviation over {options.draws} draws of the labels:\n")
    print(table(scores))
    print(f"\n{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
