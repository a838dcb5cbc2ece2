"""Everything that is served over HTTP."""

from django.contrib import admin
from django.urls import include, path

from orchestrator.api import pages

urlpatterns = [
    path("", pages.dashboard, name="dashboard"),
    path("login/", pages.login, name="login"),
    path("logout/", pages.logout, name="logout"),
    path("admin/", admin.site.urls),
    path("", include("orchestrator.api.urls")),
]

handler400 = "orchestrator.api.errors.bad_request"
handler403 = "orchestrator.api.errors.permission_denied"
handler404 = "orchestrator.api.errors.not_found"
handler500 = "orchestrator.api.errors.server_error"
