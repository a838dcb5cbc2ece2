"""A view as one writes it with Django REST framework: it reads a key of Redis and writes one.

The client is the synchronous one, which is the fastest way for a synchronous view. Who sends the
request is looked up as everywhere in the project; so are the middleware and the server.
"""

import redis
from django.conf import settings
from django.urls import path
from rest_framework.response import Response
from rest_framework.views import APIView

from config.urls import handler400, handler403, handler404, handler500
from config.urls import urlpatterns as own

__all__ = ["handler400", "handler403", "handler404", "handler500", "urlpatterns"]

_client = redis.Redis.from_url(settings.ORCHESTRATOR["REDIS_URL"])


class BareView(APIView):
    def post(self, request):
        node_id = request.data["node_id"]
        found = _client.get(f"bare:{node_id}")
        _client.set(f"bare:{node_id}", b'{"output": {"value": 1}}', ex=3600)
        return Response({"node_id": node_id, "found": (found or b"").decode()})


urlpatterns = [path("bare", BareView.as_view()), *own]
