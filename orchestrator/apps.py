from importlib import import_module

from django.apps import AppConfig
from django.db.models.signals import post_migrate


class OrchestratorConfig(AppConfig):
    name = "orchestrator"
    verbose_name = "Workflow Orchestrator"

    def ready(self) -> None:
        """Say what the fork server loads, before anything in this process starts it; and register
        the checks of a deployment."""
        import_module("orchestrator.runtime.forked")
        import_module("orchestrator.checks")
        rights = import_module("orchestrator.services.rights")
        logins = import_module("orchestrator.services.logins")
        post_migrate.connect(rights.ensure, sender=self, dispatch_uid="rights")
        logins.connect()
