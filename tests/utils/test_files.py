"""A file is complete or as it was, whatever lies at its path and whatever happens on the way."""

import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sktransfer.utils.files import write_atomically

ROOT = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(os.name != "posix", reason="this system has other permissions and links")


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@posix
def test_a_link_is_followed(tmp_path):
    (tmp_path / "models").mkdir()
    target, link = tmp_path / "models" / "v1", tmp_path / "current"
    target.write_bytes(b"old")
    link.symlink_to("models/v1")
    assert write_atomically(link, b"new") == link
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


@posix
def test_a_link_to_a_file_that_is_to_come_makes_the_file(tmp_path):
    link = tmp_path / "current"
    link.symlink_to(tmp_path / "v2")
    write_atomically(link, b"new")
    assert (tmp_path / "v2").read_bytes() == b"new"
    assert link.is_symlink()


@posix
def test_what_is_no_file_is_refused_and_stays(tmp_path):
    pipe, folder, loop, device = (tmp_path / name for name in ("pipe", "folder", "loop", "device"))
    os.mkfifo(pipe)
    folder.mkdir()
    loop.symlink_to(loop)
    device.symlink_to("/dev/null")
    for path in (pipe, folder, loop, device):
        with pytest.raises(OSError, match="file"):
            write_atomically(path, b"new")
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["device", "folder", "loop", "pipe"]


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o777])
def test_a_file_keeps_its_permissions(mode, tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    path.chmod(mode)
    write_atomically(path, b"new")
    assert (mode_of(path), path.read_bytes()) == (mode, b"new")


@posix
@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_new_file_gets_what_the_umask_leaves(mask, tmp_path):
    before = os.umask(mask)
    try:
        write_atomically(tmp_path / "f", b"new")
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "f") == 0o666 & ~mask


@posix
def test_nobody_else_reads_the_file_while_a_private_one_is_replaced(tmp_path, monkeypatch):
    path, modes, change = tmp_path / "f", [], os.fchmod
    path.write_bytes(b"old")
    path.chmod(0o600)

    def look_first(handle, mode):
        modes.append(stat.S_IMODE(os.fstat(handle).st_mode))
        change(handle, mode)

    monkeypatch.setattr(os, "fchmod", look_first)
    write_atomically(path, b"new", lambda content: modes.extend(mode_of(p) for p in tmp_path.iterdir()))
    assert modes == [0o600] * 3


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anything")
def test_a_write_protected_file_stays(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    path.chmod(0o400)
    with pytest.raises(PermissionError):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"


@posix
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only the superuser gives files away")
def test_a_file_keeps_its_owner(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    os.chown(path, 12345, 23456)
    path.chmod(0o640)
    write_atomically(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid, mode_of(path)) == (12345, 23456, 0o640)


def test_a_check_gets_what_was_written_and_its_error_leaves_the_old_file(tmp_path):
    path, got = tmp_path / "f", []
    path.write_bytes(b"old")
    write_atomically(path, b"new", got.append)
    assert got == [b"new"]
    with pytest.raises(ZeroDivisionError):
        write_atomically(path, b"newer", lambda content: 1 // 0)
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


_WRITER = """
import os, signal, sys, time
from pathlib import Path
from sktransfer.utils.files import write_atomically
def stop(content):
    print("written", flush=True)
    time.sleep(60)
write_atomically(Path(sys.argv[1]), b"from another process", stop)
"""


@posix
@pytest.mark.timeout(60)
def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_is_not(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"old")
    other = tmp_path / ".g.1-00000000.tmp"  # of another file
    other.write_bytes(b"")
    command = [sys.executable, "-c", _WRITER, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT) as writer:
        assert writer.stdout.readline() == b"written\n"
        (temporary,) = set(tmp_path.iterdir()) - {path, other}
        write_atomically(path, b"new")
        assert temporary.exists()  # it is being written
        writer.send_signal(signal.SIGKILL)
        writer.wait(20)
    assert temporary.exists()
    write_atomically(path, b"newer")
    assert set(tmp_path.iterdir()) == {path, other}
    assert path.read_bytes() == b"newer"


@posix
@pytest.mark.timeout(120)
def test_many_processes_that_write_one_file_leave_one_whole_file(tmp_path):
    """While they write, each takes the others' files for leftovers if it can."""
    code = """
import sys
from pathlib import Path
from sktransfer.utils.files import write_atomically
for _ in range(60): write_atomically(Path(sys.argv[1]), sys.argv[2].encode() * 50_000)
"""
    path = tmp_path / "f"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), letter], cwd=ROOT) for letter in "abcd"]
    while any(writer.poll() is None for writer in writers):
        if path.exists():
            content = path.read_bytes()
            assert len(content) == 50_000
            assert len(set(content)) == 1
        time.sleep(0.002)
    assert [writer.returncode for writer in writers] == [0] * 4
    assert list(tmp_path.iterdir()) == [path]
