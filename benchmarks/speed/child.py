"""What the speed benchmark runs in fresh processes; it imports nothing that the measured method does not need.

python -m benchmarks.speed.child start METHOD FOLDER        time of the first prediction (seconds since the epoch)
python -m benchmarks.speed.child million METHOD FOLDER ROWS   seconds and growth of the peak memory of predict
python -m benchmarks.speed.child import                     seconds that this package adds to scikit-learn
"""

import contextlib
import json
import sys
import time
from pathlib import Path

N_INPUTS = {"start": 32, "million": 50}


def load(method, folder):
    """The predict function of a stored model: a torch loop, or a pipeline written by joblib."""
    if method == "torch":
        return load_torch(folder)
    import joblib

    return joblib.load(f"{folder}/{method}.joblib").predict


def load_torch(folder):
    """State dict, network and scaling constants, without scikit-learn: chunks are scaled, cast and classified."""
    from itertools import pairwise

    import numpy as np
    import torch
    from torch import nn

    from benchmarks.speed.net import PlainNet

    torch.set_num_threads(1)
    stored = torch.load(f"{folder}/torch.pt", weights_only=True)
    sizes = stored["sizes"]
    blocks = [
        nn.Sequential(nn.Linear(a, b, bias=False), nn.BatchNorm1d(b), nn.ReLU(), nn.Dropout(0.0))
        for a, b in pairwise(sizes)
    ]
    network = PlainNet(nn.Sequential(*blocks), sizes[-1], stored["n_classes"])
    network.load_state_dict(stored["weights"])
    network.eval().to(stored["device"])
    mean, scale = stored["mean"].numpy(), stored["scale"].numpy()

    def predict(frame):
        values = frame.to_numpy() if hasattr(frame, "to_numpy") else frame
        classes = np.empty(len(values), dtype=np.int64)
        with torch.inference_mode():
            for start in range(0, len(values), 4096):
                rows = ((values[start : start + 4096] - mean) / scale).astype(np.float32)
                outputs = network(torch.from_numpy(rows).to(stored["device"]))
                classes[start : start + 4096] = outputs.argmax(dim=1).cpu().numpy()
        return classes

    return predict


def start(method, folder):
    import numpy as np

    load(method, folder)(np.zeros((1, N_INPUTS["start"]), dtype=np.float32))
    return {"predicted_at": time.time()}


def peak_memory(*, reset=False):
    """Largest memory of this process so far, bytes; on Linux since the last `reset`.

    There ``ru_maxrss`` will not do: a process begins with the largest value of the one that started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        if reset:
            with contextlib.suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5")
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def million(method, folder, rows):
    import numpy as np
    import pandas as pd
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    predict = load(method, folder)
    columns = np.empty((N_INPUTS["million"], int(rows)))  # column by column, as pandas holds a table
    rng = np.random.default_rng(0)
    for column in columns:
        rng.standard_normal(out=column)
    frame = pd.DataFrame(columns.T, copy=False)
    frame.columns = [f"sensor{number}" for number in range(frame.shape[1])]
    with threadpool_limits(1):
        predict(frame.iloc[:1000])  # what is loaded with the first prediction is not the rows' memory
        before, began = peak_memory(reset=True), time.perf_counter()
        predict(frame)
        seconds = time.perf_counter() - began
    return {"seconds": seconds, "share": (peak_memory() - before) / columns.nbytes}


def import_time():
    import sklearn.pipeline
    import sklearn.preprocessing  # noqa: F401

    began = time.perf_counter()
    import sktransfer

    bare = time.perf_counter() - began
    began = time.perf_counter()
    import torch  # noqa: F401

    torch_alone = time.perf_counter() - began
    began = time.perf_counter()
    sktransfer.TransferClassifier  # noqa: B018  (loads on first use)
    return {"import": bare, "torch": torch_alone, "first use": time.perf_counter() - began}


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    print(json.dumps({"start": start, "million": million, "import": import_time}[what](*arguments)))
