"""The command that writes an ONNX file."""

import numpy as np

from sktransfer import (
    BaselineScaler,
    OnnxModel,
    TransferClassifier,
    load,
    save,
)
from sktransfer import make_pipeline as make_our_pipeline
from sktransfer.cli.main import main
from tests.cli.rows import COLUMNS, FRAME, ROWS, X, Y
from tests.helpers import small_backbone


def test_an_exported_file_answers_as_the_model_file(score, tmp_path, models, capsys):
    score(FRAME.iloc[:50])
    given = [
        str(models[0] / "classifier.skops"),
        "--out",
        str(tmp_path / "m.onnx"),
        "--rows",
        str(tmp_path / "in" / "rows.csv"),
    ]
    assert main(["export", *given]) == 0
    assert "50 rows" in capsys.readouterr().err
    model = OnnxModel(tmp_path / "m.onnx")
    np.testing.assert_array_equal(model.predict(ROWS), load(models[0] / "classifier.skops").predict(ROWS))
    assert main(["export", str(models[0] / "detector.skops"), "--out", str(tmp_path / "d.onnx")]) == 4
    assert "TransferDetector" in capsys.readouterr().err
    assert not (tmp_path / "d.onnx").exists()


def test_export_overwrites_nothing_that_it_reads(score, tmp_path, models, capsys):
    score(ROWS)
    model, rows = tmp_path / "m.skops", tmp_path / "in" / "rows.csv"
    model.write_bytes((models[0] / "classifier.skops").read_bytes())
    before = model.read_bytes(), rows.read_bytes()
    (tmp_path / "link.onnx").symlink_to(rows)
    assert main(["export", str(model), "--out", str(model)]) == 2
    assert main(["export", str(model), "--out", str(tmp_path / "m.txt")]) == 2
    assert main(["export", str(model), "--rows", str(rows), "--out", str(tmp_path / "link.onnx")]) == 2
    assert (model.read_bytes(), rows.read_bytes()) == before
    capsys.readouterr()
    assert main(["export", str(models[0] / "classifier.onnx"), "--out", str(tmp_path / "again.onnx")]) == 4
    assert "an ONNX file already" in capsys.readouterr().err


def test_export_names_the_columns_that_the_rows_lack(score, tmp_path, capsys):
    network = TransferClassifier(small_backbone(max_epochs=10), random_state=0)
    save(make_our_pipeline(BaselineScaler(), network).fit(X, Y), tmp_path / "m.skops")
    score(ROWS[COLUMNS[1:]])
    rows, out = str(tmp_path / "in" / "rows.csv"), tmp_path / "m.onnx"
    assert main(["export", str(tmp_path / "m.skops"), "--rows", rows, "--out", str(out)]) == 3
    assert "rows.csv: the table has 3 columns of numbers" in capsys.readouterr().err
    assert not out.exists()
