"""Files that are either complete or as they were.

::

    content --> temporary file beside the target, locked --> flushed to the disk --> read back --> renamed over it

The lock tells a temporary file that is being written from one that a killed process left: the lock ends with its
process, on the same machine and over NFS. What is left is removed when a file of the same name is written next.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows does not remove files that are open, which is as good as a lock
    fcntl = None  # type: ignore[assignment]


def write_atomically(
    path: Path, content: bytes | Iterable[bytes], check: Callable[[bytes], object] | None = None
) -> Path:
    """Write a temporary file beside `path`, flush it to the disk, read it back, then rename it over `path`.

    A symbolic link is followed. A file that exists keeps its permissions and, where the process may set them, its owner
    and group; a new one gets what the process's umask leaves.

    Parameters
    ----------
    path : Path
    content : bytes or iterable of bytes
        Pieces are written as they come; an error that they raise leaves the old file.
    check : function, optional
        Gets what was read back; an error that it raises leaves the old file.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    OSError
        If `path` is a folder, a pipe, a socket or a device, is write-protected, or cannot be written.
    """
    target = Path(os.path.realpath(path))
    before = _status(target)
    _remove_leftovers(target)
    temporary, handle = _create(target, before)
    try:
        with os.fdopen(handle, "r+b") as stream:
            for piece in [content] if isinstance(content, bytes) else content:
                with _about(target):
                    stream.write(piece)
            with _about(target):
                stream.flush()
            if before is not None:
                _keep_owner_and_mode(stream.fileno(), before)
            with _about(target):
                os.fsync(stream.fileno())
            if check is not None:
                stream.seek(0)
                check(stream.read())
            if fcntl is not None:  # Windows renames closed files only
                temporary.replace(target)
        if fcntl is None:
            temporary.replace(target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        raise
    _flush_folder(target.parent)
    return path


def _status(target: Path) -> os.stat_result | None:
    """Of the file that will be replaced; None if there is none."""
    try:
        found = target.lstat()  # what realpath could not follow, such as a loop of links, is no file either
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(f"{target} is a folder; give the name of a file in it.")
    if not stat.S_ISREG(found.st_mode):
        raise OSError(f"{target} is a link that leads nowhere, a pipe, a socket or a device; give the name of a file.")
    if not os.access(target, os.W_OK):
        raise PermissionError(f"{target} is write-protected; give another name, or permit writing.")
    return found


def _create(target: Path, before: os.stat_result | None) -> tuple[Path, int]:
    """A new file beside `target`, locked; nobody else may read it where a file with permissions is replaced."""
    mode = 0o666 if before is None else 0o600
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
    while True:
        temporary = target.with_name(f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
        with _about(target):
            handle = os.open(temporary, flags, mode)
        if _lock(handle) is False or _is_there(temporary, handle):
            return temporary, handle
        os.close(handle)  # another process took it for a leftover before it was locked


@contextlib.contextmanager
def _about(target: Path) -> Iterator[None]:
    """Errors of the system name the file that was asked for, and not the temporary one."""
    try:
        yield
    except OSError as error:
        error.filename = str(target)
        raise


def _lock(handle: int, *, wait: bool = True) -> bool | None:
    """Lock a file: True if locked; None if another process holds the lock; False where the system has no locks."""
    if fcntl is None:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return None
    except OSError:
        return False
    return True


def _is_there(temporary: Path, handle: int) -> bool:
    try:
        return os.path.samestat(temporary.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _remove_leftovers(target: Path) -> None:
    """Remove temporary files of `target` that no living process is writing."""
    prefix = f".{target.name}."
    with contextlib.suppress(OSError), os.scandir(target.parent) as entries:  # a folder that may not be listed
        found = [Path(entry.path) for entry in entries if entry.name.startswith(prefix) and entry.name.endswith(".tmp")]
        for leftover in found:
            with contextlib.suppress(OSError):  # another process removed it, or it belongs to somebody else
                _remove_if_unlocked(leftover)


def _remove_if_unlocked(leftover: Path) -> None:
    if fcntl is None:
        leftover.unlink()
        return
    handle = os.open(leftover, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if stat.S_ISREG(os.fstat(handle).st_mode) and _lock(handle, wait=False):
            leftover.unlink()
    finally:
        os.close(handle)


def _keep_owner_and_mode(handle: int, before: os.stat_result) -> None:
    if not hasattr(os, "fchmod"):
        return
    mode, now = stat.S_IMODE(before.st_mode), os.fstat(handle)
    if (now.st_uid, now.st_gid) != (before.st_uid, before.st_gid):
        try:
            os.fchown(handle, before.st_uid, before.st_gid)
        except PermissionError:
            mode &= ~0o6070 if now.st_gid != before.st_gid else ~0o6000  # not for another group than it was meant for
    os.fchmod(handle, mode)


def _flush_folder(folder: Path) -> None:
    """Bring the new name to the disk, where the system can."""
    if fcntl is None:
        return
    with contextlib.suppress(OSError):  # some file systems do not flush folders; the file itself is flushed
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
