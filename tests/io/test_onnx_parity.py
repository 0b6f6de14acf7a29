"""Comparison at export: what differs is not written."""

import numpy as np
import pytest

from sktransfer import BaselineScaler, OnnxModel, export_onnx
from sktransfer.io import onnx_converters
from sktransfer.io.onnx_parity import OnnxParityError, edge_rows
from tests.onnx_pipelines import OFFSET, classifier, regressor, rows

steps = onnx_converters.steps


def spoil(monkeypatch, name, change):
    """Let a function of the converters return something else."""
    right = getattr(steps, name)
    monkeypatch.setattr(steps, name, lambda graph, *rest: change(graph, right(graph, *rest)))


def add(amount):
    return lambda graph, x: graph("Add", x, np.asarray(amount))


def test_probabilities_that_differ_are_not_written_and_the_old_file_stays(monkeypatch, tmp_path):
    path = tmp_path / "pump.onnx"
    path.write_bytes(b"the file of yesterday")
    spoil(monkeypatch, "write_probabilities", add(3e-4))
    with pytest.raises(
        OnnxParityError, match=r"on X \(240 rows\) ONNX graph and pipeline differ by 0.0003 .* nothing was"
    ):
        export_onnx(classifier(), path, X=rows()[0])
    assert path.read_bytes() == b"the file of yesterday"
    assert [one.name for one in tmp_path.iterdir()] == ["pump.onnx"]


def test_a_difference_of_rounding_is_written(monkeypatch, tmp_path):
    spoil(monkeypatch, "write_probabilities", add(3e-6))
    model = OnnxModel(export_onnx(classifier(), tmp_path / "a.onnx", X=rows()[0]))
    n_rows, difference = model.manifest_["compared"]["X"]
    assert n_rows == 240
    assert 2.5e-6 < difference < 4e-6


def test_one_other_label_among_the_rows_of_the_caller_is_enough(monkeypatch, tmp_path):
    right = steps.write_labels
    X = rows()[0]
    margin = np.sort(classifier().predict_proba(X), axis=1)
    margin = (margin[:, -1] - margin[:, -2]).min()

    def lean(graph, scores, classes):  # towards the class that is not chosen in the closest decision
        return right(graph, graph("Add", scores, np.array([0.0, 0.0, margin * 1.5])), classes)

    def lean_away(graph, scores, classes):
        return right(graph, graph("Sub", scores, np.array([0.0, 0.0, margin * 1.5])), classes)

    failed = []
    for way in (lean, lean_away):
        monkeypatch.setattr(steps, "write_labels", way)
        try:
            export_onnx(classifier(), tmp_path / "a.onnx", X=X)
        except OnnxParityError as error:
            failed.append(str(error))
    assert failed
    assert all("differ by 1 " in sentence for sentence in failed)


def test_values_are_compared_relative_to_their_size(monkeypatch, tmp_path):
    spoil(monkeypatch, "write_values", lambda graph, x: graph("Mul", x, np.asarray(1 + 1e-4)))
    with pytest.raises(OnnxParityError, match=r"differ by 0\.0001"):
        export_onnx(regressor(), tmp_path / "a.onnx", X=rows()[0])


def test_what_goes_wrong_at_the_edges_alone_is_found_without_rows_of_the_caller(monkeypatch, tmp_path):
    def clipped(graph, x):
        return graph("Min", x, np.asarray(10.0))

    X = rows()[0]
    scaler = BaselineScaler(compress=False, clip=20.0).fit(X)
    spoil(monkeypatch, "write_baseline_scaler", clipped)
    with pytest.raises(OnnxParityError, match="on rows far out of range"):
        export_onnx(scaler, tmp_path / "a.onnx", X=X)


def test_outputs_that_are_not_finite_are_found(monkeypatch, tmp_path):
    spoil(monkeypatch, "write_values", lambda graph, x: graph("Log", graph("Sub", x, x)))
    with pytest.raises(OnnxParityError, match="differ by inf"):
        export_onnx(regressor(), tmp_path / "a.onnx", X=rows()[0])


def test_an_error_of_the_pipeline_about_the_rows_of_the_caller_is_raised(tmp_path):
    X = rows()[0].copy()
    X[0, 0] = np.nan
    with pytest.raises(ValueError, match="BaselineScaler: Input X contains NaN"):
        export_onnx(classifier("error"), tmp_path / "a.onnx", X=X)
    assert list(tmp_path.iterdir()) == []


def test_edge_rows_lie_where_the_scaler_was_fitted():
    kinds = dict(edge_rows(classifier(), (4,), None))
    assert list(kinds) == ["rows within range", "rows far out of range", "rows at an offset of 1e+07", "rows with NaN"]
    within, far, offset, missing = kinds.values()
    assert abs(within.mean() - OFFSET) < 1
    assert 2 < within.std() < 4
    assert np.abs(far - OFFSET).max() > 1e6
    assert abs(offset.mean() - 2 * OFFSET) < 1
    assert 0.2 < np.isnan(missing).mean() < 0.4


@pytest.mark.parametrize(("missing", "takes"), [("error", False), ("impute", True)])
def test_the_file_knows_whether_NaN_are_taken(missing, takes, tmp_path):
    model = OnnxModel(export_onnx(classifier(missing), tmp_path / "a.onnx"))
    assert model.manifest_["takes_nan"] is takes
    assert ("rows with NaN" in model.manifest_["compared"]) is takes
