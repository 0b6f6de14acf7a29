"""# Question: skada has pipelines, adapters and scores for two domains. Do its parts and ours go together?

With skada installed (``pip install skada``), from the root of the repository, with the folder that holds
``cstr-tanks-simulated``::

    python examples/05_with_skada.py ../shared/data

A chemical reactor is known from a simulation with the right chemistry (1,300 rows, 12 faults and normal operation).
The reactor at hand has another reaction order: 130 rows of it, five labels a class, and other rows to score.
Both packages mean the same by ``sample_domain``: positive numbers for sources, negative ones for targets.
"""

# %% Setting
import argparse
import sys
import warnings
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import pandas as pd
import sklearn
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score

from benchmarks.adaptation_sets import cstr
from benchmarks.adaptation_tasks import draw, stacked
from sktransfer import BaselineScaler, DomainAdaptationClassifier, Pooled, TransferClassifier, make_pipeline

# %% skada turns scikit-learn's metadata routing on when it is imported, for the whole process. Here it is put back, and
# on where its pipelines are used. sktransfer does not need it.
before = sklearn.get_config()["enable_metadata_routing"]
from skada import CORALAdapter, OTMappingAdapter, make_da_pipeline

sklearn.set_config(enable_metadata_routing=before)


def scaler():
    """Each machine by all its own rows: no class is known to be healthy beforehand."""
    return BaselineScaler(compress=False)


# %% Pipelines of both packages. `mask_target_labels=False` keeps the few labels of the target, which skada otherwise
# hides; rows without one carry -1, in both packages. A clone of skada's pipeline forgets it, and a search clones; so
# search over a pipeline of sktransfer or scikit-learn. An estimator that knows no machines takes -1 for a class there:
# put `Pooled` around it.
def pipelines(seed):
    """By name: the pipeline, and whether it gets the labels of the target."""
    few = {"mask_target_labels": False}
    network = TransferClassifier(random_state=seed)
    joint = DomainAdaptationClassifier(random_state=seed)
    trees = ExtraTreesClassifier(random_state=seed)
    return {
        "skada: CORAL, logistic regression": make_da_pipeline(
            scaler(), CORALAdapter(), LogisticRegression(max_iter=2000)
        ),
        "skada: optimal transport, then our network": make_da_pipeline(
            scaler(), OTMappingAdapter(metric="cityblock"), network
        ),
        "skada: a pipeline around our joint network, five labels": make_da_pipeline(scaler(), joint, **few),
        "skada: a pipeline around Pooled, five labels": make_da_pipeline(scaler(), Pooled(trees), **few),
        "ours: a pipeline with skada's CORAL, five labels": make_pipeline(
            scaler(), CORALAdapter(), Pooled(LogisticRegression(max_iter=2000))
        ),
        "ours: joint network, five labels": make_pipeline(scaler(), joint),
    }


# %% Every pipeline sees the same rows; a scored row is in no fit
def run(folder, target=6, draws=3):
    """Balanced accuracy of each pipeline, one line a draw."""
    task = next(task for task in cstr(folder) if task.name.endswith(f"-> {target}"))
    scores = []
    for seed in range(draws):
        rows = stacked(task, draw(task, 5, seed), scaling="none")
        for name, pipe in pipelines(seed).items():
            routing = name.startswith("skada")
            with sklearn.config_context(enable_metadata_routing=routing), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                pipe.fit(rows.X, rows.y.copy(), sample_domain=rows.sample_domain)  # skada writes -1 into the y it gets
                predicted = pipe.predict(rows.X_scored)  # rows that name no machine are the target's
            scores.append((name, seed, balanced_accuracy_score(rows.y_scored, predicted)))
    return pd.DataFrame(scores, columns=["pipeline", "draw", "balanced accuracy"])


# %% Answer: yes, both ways. The scaler by machine makes most of it, whoever aligns; with a few labels of the target the
# joint network and pooled trees are ahead of what adapts without any.
def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--draws", type=int, default=3)
    options = parser.parse_args()
    scores = run(options.folder, draws=options.draws)
    print(scores.groupby("pipeline", sort=False)["balanced accuracy"].agg(["mean", "min", "max"]).round(3).to_string())


if __name__ == "__main__":
    main()
