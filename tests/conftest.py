"""Fixtures that several test files use."""

import signal

import pytest


@pytest.fixture
def listens():
    """Python ignores Ctrl-C in a process that was started in the background of a shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
