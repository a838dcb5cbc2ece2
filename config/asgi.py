"""HTTP and WebSockets of the web process: `uvicorn config.asgi:application`."""

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
http_application = get_asgi_application()

# Only now: these import models.
from channels.routing import ProtocolTypeRouter  # noqa: E402
from django.conf import settings  # noqa: E402

from orchestrator.api.counted import Counted  # noqa: E402
from orchestrator.api.direct import DirectPaths  # noqa: E402
from orchestrator.api.limits import BodyLimit  # noqa: E402
from orchestrator.api.proxy import BehindProxy  # noqa: E402
from orchestrator.conf import orchestrator_settings  # noqa: E402
from orchestrator.logs import adopt_server_lines  # noqa: E402
from orchestrator.routing import lifespan, websocket_application  # noqa: E402
from orchestrator.runtime.allocator import return_large_blocks  # noqa: E402

return_large_blocks()

adopt_server_lines()
application = BehindProxy(
    ProtocolTypeRouter(
        {
            "http": Counted(BodyLimit(DirectPaths(http_application))),
            "websocket": websocket_application,
            "lifespan": lifespan,
        }
    ),
    prefix=settings.URL_PREFIX,
    trusted=orchestrator_settings().TRUSTED_PROXIES,
)
