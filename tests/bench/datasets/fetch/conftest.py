"""A server that misbehaves as it is told, and the command line against it."""

import pytest

from tests.bench.datasets.fetch.server import Server


@pytest.fixture
def server():
    running = Server()
    yield running
    running.close()


@pytest.fixture
def command(command):
    """As the command line, without the lines of progress."""

    def run(*arguments):
        code, out, err = command(*arguments)
        return code, out, "".join(line for line in err.splitlines(True) if not line.startswith("downloading: "))

    return run
