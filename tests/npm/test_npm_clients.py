"""Clients for Node against the running service; `make test-npm` installs them.

Skipped with a reason where they are not: NPM_CLIENTS is the folder with their node_modules.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from service.app import create_app
from service.settings import Settings
from tests.serving import serve

HERE = Path(__file__).parent
MODELS = HERE.parent.parent / "models"
FOLDER = os.environ.get("NPM_CLIENTS")
pytestmark = pytest.mark.skipif(not FOLDER, reason="use make test-npm, which installs the clients")


@pytest.fixture(scope="module")
def url():
    """The address of a server with the shipped models."""
    with serve(create_app(Settings(models=MODELS, trial=False))) as address:
        yield address


@pytest.mark.parametrize("client", ["deepl-node", "translate"])
def test_the_client_is_content(client, url):
    """Its script passes; it stands beside node_modules, where Node looks for packages."""
    script = Path(FOLDER) / f"{client}.test.js"
    shutil.copy(HERE / script.name, script)
    done = subprocess.run(
        ["node", "--test", str(script)],
        env=os.environ | {"URL": url},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
