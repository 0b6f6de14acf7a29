"""The command line: arguments in, an exit code that a scheduler understands out.

Exit codes: 0 done; 1 an error of this program; 2 usage; 3 the input cannot be used; 4 the model file cannot be used;
5 done, but too many rows could not be judged; 10 an alarm is on, with ``--fail-on-alarm``; 75 another run is under way;
130 interrupted; 143 terminated.

Nothing of a command is imported before it runs, so that ``--help`` and ``--version`` need no second.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import json
import os
import signal
import sys
import time
import warnings
from typing import Any

import click

from sktransfer import __version__

OK, BUG, USAGE, INPUT, MODEL, ABSTAINED, ALARM, LOCKED, INTERRUPTED, TERMINATED = 0, 1, 2, 3, 4, 5, 10, 75, 130, 143
# command -> its module and function, in the order of a plant's life
_COMMANDS = {
    "demo": ("sktransfer.cli.demo", "demo"),
    "backbones": ("sktransfer.cli.model_commands", "backbones"),
    "pretrain": ("sktransfer.cli.model_commands", "pretrain"),
    "fit": ("sktransfer.cli.model_commands", "fit"),
    "inspect": ("sktransfer.cli.model_commands", "inspect"),
    "export": ("sktransfer.cli.export_command", "export"),
    "score": ("sktransfer.cli.score_command", "score"),
    "monitor": ("sktransfer.cli.monitor_command", "monitor"),
}
_HELP = {
    "demo": "Five labels a class on a simulated plant, in a minute.",
    "backbones": "List the pretrained networks that are installed.",
    "pretrain": "Train a network on a table with labels, for other machines.",
    "fit": "Fit a monitor to the table of a plant, and write its model file.",
    "inspect": "Show what a file holds, without loading it.",
    "export": "Write the estimator of a model file as an ONNX file.",
    "score": "Judge each row or window of a table.",
    "monitor": "One run of a monitoring job: judge what is new, remember it, report.",
}


class _Lazy(click.Group):
    """Commands whose modules are imported when they run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module, function = _COMMANDS[name]
        return getattr(importlib.import_module(module), function)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:  # click would exit with the code of a bug
            raise _ReaderGoneError from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_HELP.items()))


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="sktransfer")
@click.option("--log-json", is_flag=True, help="Messages on stderr as one JSON object a line.")
@click.pass_context
def cli(ctx: click.Context, log_json: bool) -> None:
    """Reuse pretrained fault networks on the machines of a plant."""
    ctx.obj = Log(log_json)


class Log:
    """Messages on stderr: text, or one JSON object a line.

    Parameters
    ----------
    as_json : bool
    """

    def __init__(self, as_json: bool):
        self.as_json = as_json

    def say(self, text: str, level: str = "info", **facts: Any) -> None:
        """One message."""
        if self.as_json:
            line = json.dumps({"time": time.time(), "level": level, "message": text, **facts}, default=str)
        else:
            line = text if level == "info" else f"{level}: {text}"
        # a terminal that cannot show a character gets a mark in its place
        coded = line.encode(sys.stderr.encoding or "ascii", "replace").decode(sys.stderr.encoding or "ascii")
        sys.stderr.write(f"{coded}\n")
        sys.stderr.flush()

    def warned(self, message: Any, category: Any, *place: Any) -> None:
        """In place of ``warnings.showwarning``."""
        self.say(" ".join(str(message).split()), "warning", kind=category.__name__)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line, and return its exit code.

    Parameters
    ----------
    arguments : list of str, optional
        Without the program's name; default: those of the process.
    """
    log = Log("--log-json" in (sys.argv[1:] if arguments is None else arguments))
    before = signal.signal(signal.SIGTERM, _terminated) if _is_main_thread() else None
    try:
        with warnings.catch_warnings():
            warnings.showwarning = log.warned  # type: ignore[assignment]
            code = cli.main(args=arguments, prog_name="sktransfer", standalone_mode=False)
        return code if isinstance(code, int) else OK
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        log.say(error.format_message(), "error")
        return USAGE
    except KeyboardInterrupt:
        log.say("interrupted; nothing was left half done", "error")
        return INTERRUPTED
    except _TerminatedError:
        log.say("terminated; nothing was left half done", "error")
        return TERMINATED
    except _ReaderGoneError:
        # whoever read the output has gone; Python would complain again as it closes stdout
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except Exception as error:
        return _told(log, error)
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


def _told(log: Log, error: Exception) -> int:
    """The exit code of an error, after a line that names its cause."""
    from sktransfer.exceptions import ModelFileError, TableError

    name = type(error).__name__
    if isinstance(error, ModelFileError):
        code = MODEL
    elif isinstance(error, TableError):
        code = INPUT
    elif name == "JobLockedError":
        code = LOCKED
    elif name == "ConfigError":
        code = USAGE
    elif isinstance(error, ImportError) and "sktransfer[" in str(error):
        code = USAGE  # an extra that is not installed
    elif isinstance(error, OSError | ValueError):
        code = INPUT
    else:
        log.say(f"{name}: {error}", "error", exit_code=BUG)
        raise error
    text = _of_system(error) if isinstance(error, OSError) and error.strerror else str(error)
    log.say(" ".join(text.split()), "error", exit_code=code)
    return code


_REMEDIES = {
    errno.ENOENT: "Make the folder, or name another one.",
    errno.ENOSPC: "Make room on the disk, or name another folder.",
    errno.EDQUOT: "Make room on the disk, or name another folder.",
    errno.EACCES: "Permit it, or name another one.",
    errno.EPERM: "Permit it, or name another one.",
    errno.EROFS: "Name a folder that can be written.",
}


def _of_system(error: OSError) -> str:
    """File, cause and remedy of what the system refused; without a file it was stdout."""
    where = "stdout" if error.filename is None else error.filename
    return f"{where}: {error.strerror}. {_REMEDIES.get(error.errno or 0, '')}"


class _ReaderGoneError(Exception):
    """Nobody reads stdout any longer, as after `| head`."""


class _TerminatedError(BaseException):
    """SIGTERM came."""


def _terminated(number: int, frame: Any) -> None:
    raise _TerminatedError


def _is_main_thread() -> bool:
    import threading

    return threading.current_thread() is threading.main_thread()


def run() -> None:
    """Entry point of the command."""
    with contextlib.suppress(BrokenPipeError):
        sys.exit(main())
