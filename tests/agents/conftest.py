"""What both agents share: a folder to work in, a home of their own, and what reached the simulated providers."""

import json
import os
import pathlib
import subprocess
import urllib.parse
import urllib.request

import pytest

GATEWAY = os.environ["LLM_GATEWAY_TEST_URL"]
KEY = os.environ["LLM_GATEWAY_TEST_KEY"]
PACKAGES = pathlib.Path(os.environ["LLM_GATEWAY_AGENTS"])
SECRET = "the parrot is called Ada\n"
# For one task, in seconds; it takes about one.
LONGEST = 90


def program(pattern):
    """An agent's own binary, in the package for this machine."""
    found = sorted(PACKAGES.glob(pattern))
    assert found, f"no {pattern} for this machine in {PACKAGES}"
    return str(found[0])


def reached(provider, text):
    """The requests with this text that got through to a simulated provider, in their order."""
    url = f"{os.environ['LLM_GATEWAY_TEST_' + provider.upper()]}/sandbox/requests?holds={urllib.parse.quote(text)}"
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)["requests"]


class Desk:
    """A folder with in.txt in it, and a home where nobody has been before."""

    def __init__(self, root):
        self.home, self.folder = root / "home", root / "work"
        self.home.mkdir()
        self.folder.mkdir()
        self.input, self.output = self.folder / "in.txt", self.folder / "out.txt"
        self.input.write_text(SECRET)

    def run(self, command, **environment):
        """Runs an agent, which sees this folder, this home and the gateway; returns what it printed."""
        done = subprocess.run(
            command,
            cwd=self.folder,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), "NO_PROXY": "127.0.0.1", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LONGEST,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)
