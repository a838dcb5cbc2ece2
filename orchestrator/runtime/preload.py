"""Imported once by the fork server, so that a new child has Django, the nodes and their forms."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from orchestrator.runtime.engine import flow_engine  # noqa: E402

for node_class in flow_engine().registry:
    node_class.load_form()
