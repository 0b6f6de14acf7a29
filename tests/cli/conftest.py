"""Model files of every kind, and the command that scores rows with them."""

import joblib
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline

from sktransfer import (
    BaselineScaler,
    TransferClassifier,
    TransferDetector,
    TransferRegressor,
    export_onnx,
    save,
)
from sktransfer.cli.main import main
from tests.cli.rows import FRAME, Y
from tests.helpers import small_backbone


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    network = TransferClassifier(small_backbone(max_epochs=10), random_state=0)
    found = {
        "classifier": make_pipeline(BaselineScaler(normal_label="normal", compress=False), network).fit(FRAME, Y),
        "regressor": make_pipeline(BaselineScaler(), TransferRegressor(max_epochs=2, random_state=0)).fit(
            FRAME, FRAME["flow"]
        ),
        "detector": make_pipeline(BaselineScaler(), TransferDetector()).fit(FRAME),
    }
    for name, model in found.items():
        save(model, folder / f"{name}.skops")
    joblib.dump(found["classifier"], folder / "classifier.joblib")
    export_onnx(found["classifier"], folder / "classifier.onnx", X=FRAME)
    return folder, found


@pytest.fixture
def dumped(tmp_path):
    """Writes a model that any program could be in; the options of the command that reads it."""

    def write(model, name="model"):
        joblib.dump(model, tmp_path / f"{name}.joblib")
        return {"model": tmp_path / f"{name}.joblib"}

    return write


@pytest.fixture
def score(models, tmp_path, capsys):
    """Scores a frame or text; the exit code, the answers, and what was said."""
    (tmp_path / "in").mkdir()

    def run(rows, *options, model="classifier.skops", out="scored.csv"):
        text = rows if isinstance(rows, str) else rows.to_csv(index=False)
        (tmp_path / "in" / "rows.csv").write_text(text, encoding="utf-8", newline="")
        given = [models[0] / model, tmp_path / "in" / "rows.csv", "--out", tmp_path / out, *options]
        code = main(["score", *map(str, given)])
        scored = pd.read_csv(tmp_path / out, dtype={"pump": str}) if code in (0, 5) else None
        return code, scored, capsys.readouterr().err

    return run
