"""The command that turns a model file into an ONNX file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from sktransfer.cli.arguments import hexadecimal, refuse_overwriting

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--out", "-o", required=True, type=_FILE, help="ONNX file, as pumps.onnx.")
@click.option("--rows", type=_FILE, default=None,
              help="Table on which both must answer alike: some hundred rows of every class.")  # fmt: skip
@click.option("--config", "-c", type=_FILE, default=None,
              help="TOML file whose [table] says how the table of --rows is written; a monitor knows it.")  # fmt: skip
@click.option("--sha256", default=None, callback=hexadecimal, help="The model file must have this hash.")
@click.pass_obj
def export(log: Any, model: Path, out: Path, rows: Path | None, config: Path | None, sha256: str | None) -> None:
    """Write the estimator of a model file as an ONNX file, after a comparison of both.

    The file answers rows without torch and scikit-learn. Of a monitor it holds the estimator of rows: alarms, limits
    and the memory of a job stay with the model file.
    """
    from sktransfer.cli.scorer import Scorer
    from sktransfer.exceptions import ModelFileError
    from sktransfer.io.onnx_export import export_onnx

    if out.suffix.lower() != ".onnx":
        raise click.UsageError(f"--out {out}: the name must end in .onnx, by which `sktransfer score` knows the file.")
    refuse_overwriting([out], [model, rows, config])
    if model.suffix.lower() == ".onnx":
        raise ModelFileError(f"{model} is an ONNX file already.")
    scorer = Scorer.of_file(model, sha256=sha256, config=config, joblib=False)
    estimator, form = scorer.model, scorer.table_format
    if scorer.is_monitor:
        if estimator.windows is not None:
            raise ModelFileError(f"{model} judges windows, which `sktransfer score` cannot cut for an ONNX file.")
        estimator, form = scorer.model.estimator_, scorer.model.table_format
    X = None if rows is None else _complete_rows(estimator, rows, form)
    try:
        export_onnx(estimator, out, X=X)
    except ValueError as error:
        raise ModelFileError(f"{model}: {error}") from error
    compared = "rows that are made from what its steps know" if X is None else f"{len(X)} rows of {rows}, and more"
    log.say(f"wrote {out}: answers as {model} does on {compared}", file=str(out))


def _complete_rows(estimator: Any, rows: Path, form: Any) -> Any:
    """Rows of a table without a missing cell, in the columns of the estimator."""
    from sktransfer.exceptions import TableError
    from sktransfer.io.read_table import read_table
    from sktransfer.io.score_rows import with_columns
    from sktransfer.io.table_format import check_format

    X = read_table(rows, with_columns(estimator, check_format(form))).X.dropna()
    n_expected = getattr(estimator, "n_features_in_", X.shape[1])
    if X.shape[1] != n_expected:
        raise TableError(
            f"{rows}: the table has {X.shape[1]} columns of numbers, {list(X.columns)[:8]}, and the model takes "
            f"{n_expected}, whose names it does not know. Declare the sensors in [table].",
            str(rows),
        )
    if not len(X):
        raise TableError(f"{rows}: no row is complete, so that there is nothing to compare on.", str(rows))
    return X if hasattr(estimator, "feature_names_in_") else X.to_numpy()
