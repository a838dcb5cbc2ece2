"""The deployment under test: `config.settings` on a data folder of this test process's own.

pytest-django loads the settings before any conftest, so the environment is prepared here. Child
processes inherit the folder; an xdist worker makes one of its own.
"""

import atexit
import base64
import os
import shutil
import tempfile

_worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
if os.environ.get("TEST_DATA_OWNER") != _worker:
    os.environ["TEST_DATA_OWNER"] = _worker
    os.environ["DATA_DIR"] = tempfile.mkdtemp(prefix="orchestrator-test-")
    atexit.register(shutil.rmtree, os.environ["DATA_DIR"], ignore_errors=True)
    # Nobody listens there: a test that needs Redis asks for the fixture `live_redis`.
    os.environ["REDIS_URL"] = "redis://127.0.0.1:1/0"
os.environ.setdefault("SECRET_KEY", "only-for-tests")
os.environ.setdefault(
    "ORCHESTRATOR_CREDENTIAL_KEYS",
    base64.urlsafe_b64encode(b"only for tests, not for secrets.").decode(),
)

from config.settings import *  # noqa: E402, F403

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
ALLOWED_HOSTS = ["testserver", "127.0.0.1", "localhost"]
ORCHESTRATOR = {
    **ORCHESTRATOR,  # noqa: F405
    "NODE_PACKAGES": ["tests.nodes", "examples.places"],
    "TOOL_MODULES": ["examples.tools.quality", "tests.graph_tools"],
    "BLOCK_LIMIT": float(os.environ.get("TEST_BLOCK_LIMIT", 60)),
    "CHECKPOINT_PERIOD": float(os.environ.get("TEST_CHECKPOINT_PERIOD", 5)),
}
