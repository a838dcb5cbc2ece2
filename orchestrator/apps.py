from importlib import import_module

from django.apps import AppConfig


class OrchestratorConfig(AppConfig):
    name = "orchestrator"
    verbose_name = "Workflow Orchestrator"

    def ready(self) -> None:
        """Say what the fork server loads, before anything in this process starts it."""
        import_module("orchestrator.runtime.forked")
