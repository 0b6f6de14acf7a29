"""The command of the job: cron or a timer runs it every few minutes, and nobody watches."""

from __future__ import annotations

import hashlib
import time
import warnings
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from sktransfer.cli.arguments import files_of, hexadecimal, share, write_out
from sktransfer.cli.scorer import loaded_monitor, read_content


def _span(ctx: Any, parameter: Any, value: float) -> float:
    if not 0 <= value <= 1e9:  # NaN, too
        raise click.BadParameter("a number from 0 to 1e9, please")
    return value


def _zone(ctx: Any, parameter: Any, value: str) -> str:

    try:
        ZoneInfo(value)
    except (OSError, ValueError, KeyError):
        raise click.BadParameter(f"there is no zone {value!r}; zones are called as in Europe/Berlin") from None
    return value


def _time(ctx: Any, parameter: Any, value: str | None) -> Any:
    from sktransfer.monitoring.job_checks import moment_of

    try:
        return None if value is None else moment_of(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("tables", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--state", required=True, type=click.Path(file_okay=False, path_type=Path), help="Folder of the job.")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), default=None,
              help="Folder for status.txt, .json, .csv, .html, daily samples; default: that of the state.")  # fmt: skip
@click.option("--metrics", type=click.Path(dir_okay=False, path_type=Path), default=None,
              help="File for Prometheus's node exporter, ending in .prom.")  # fmt: skip
@click.option("--late", callback=_span, default=3600.0, show_default=True, help="Seconds by which rows may come late.")
@click.option(
    "--max-age", callback=_span, default=3600.0, show_default=True, help="Seconds after which a machine has no data."
)
@click.option("--keep-days", callback=_span, default=30.0, show_default=True, help="Days that samples are kept.")
@click.option(
    "--zone", callback=_zone, default="UTC", show_default=True, help="Zone of the times in the text and on the page."
)
@click.option("--now", callback=_time, default=None, help="Time of the run, for replays.")
@click.option("--sha256", default=None, callback=hexadecimal, help="The model file must have this hash.")
@click.option("--fail-on-alarm", is_flag=True, help="Exit code 10 where a machine is in alarm.")
@click.option("--max-abstained", default=0.5, show_default=True, callback=share,
              help="Above this share of samples without data the exit code is 5.")  # fmt: skip
@click.pass_obj
def monitor(log: Any, model: Path, tables: tuple[Path, ...], **options: Any) -> int:
    """One run of a monitoring job: judge what is new, remember it, report.

    Run it again with the same table, and nothing changes; kill it, and the next run catches up.
    """
    from sktransfer.cli.main import ABSTAINED, ALARM, OK
    from sktransfer.monitoring.job import run_job
    from sktransfer.utils.counted_nouns import counted
    from sktransfer.utils.id_texts import printable

    began = time.perf_counter()
    content, written = read_content(model, options["sha256"])
    digest = hashlib.sha256(content).hexdigest()
    loaded = loaded_monitor(model, digest)  # another file by now is refused: what is remembered belongs to this one
    folder = options["out"] or options["state"]
    name, text = f"{printable(model.name)} {digest[:12]}", []

    def write(found: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        text.append(_write_reports(found, folder, name, options["zone"]))

    report = run_job(
        loaded, files_of(tables), options["state"], model_id=digest, late=options["late"], max_age=options["max_age"],
        keep_days=options["keep_days"], now=options["now"], write=write,
    )  # fmt: skip
    if options["metrics"] is not None:
        _write_metrics(options["metrics"], report, time.perf_counter() - began, time.time() - written)
    write_out(text[0])
    log.say(
        f"{counted(report.n_samples, 'sample')} judged, {counted(report.n_alarms, 'machine')} in alarm",
        samples=report.n_samples,
    )
    if report.n_samples and report.n_no_data > options["max_abstained"] * report.n_samples:
        return ABSTAINED
    return ALARM if options["fail_on_alarm"] and report.n_alarms else OK


def _write_reports(report: Any, folder: Path, name: str, zone: str) -> str:
    """All reports of one run, each complete or as it was; the text is returned."""
    from sktransfer.io.write_table import write_table
    from sktransfer.monitoring.status_page import status_page
    from sktransfer.monitoring.status_report import status_json, status_table, status_text
    from sktransfer.utils.files import write_atomically

    text = status_text(report, model_name=name, zone=zone)
    for day, samples in report.days.items():
        write_table(samples, folder / f"samples-{day}.csv")
    write_table(status_table(report), folder / "status.csv")
    write_atomically(folder / "status.json", status_json(report, model_name=name).encode("utf-8"))
    write_atomically(folder / "status.html", status_page(report, model_name=name, zone=zone).encode("utf-8"))
    write_atomically(folder / "status.txt", text.encode("utf-8"))
    return text


def _write_metrics(path: Path, report: Any, duration: float, model_age: float) -> None:
    """Metrics are for those who watch the job: without them the machines are watched all the same."""
    from sktransfer.monitoring.status_report import metrics_text
    from sktransfer.utils.files import write_atomically

    if path.suffix != ".prom":
        warnings.warn(
            f"The metrics in {path} will not be read: the node exporter reads files whose names end in .prom.",
            stacklevel=2,
        )
    try:
        write_atomically(path, metrics_text(report, duration=duration, model_age=model_age).encode("utf-8"))
    except OSError as error:
        warnings.warn(f"The metrics could not be written to {path}: {error}.", stacklevel=2)
