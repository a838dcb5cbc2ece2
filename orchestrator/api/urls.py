"""Every path of the API, and a workflow's page.

Each works with and without a slash at its end, for any method.
"""

from typing import Any

from django.contrib.auth.decorators import login_required
from django.urls import URLPattern, re_path

from orchestrator.api import (
    account,
    audit,
    bench,
    credentials,
    dead_letters,
    examples,
    fragments,
    graphs,
    health,
    metrics,
    nodes,
    pages,
    production,
    queues,
    runs,
    schema,
    taps,
    tickets,
    tools,
    validation,
    webhooks,
    workflows,
)
from orchestrator.api.negotiation import page_or_api

__all__ = ["schema", "urlpatterns"]

SLUG = r"[-a-zA-Z0-9_]+"
NUMBER = r"[0-9]{1,15}"
HOOK = r"[-a-zA-Z0-9_/]{1,200}?"
RUN = f"graph/runs/(?P<run_id>{SLUG})"
QUEUE = rf"queues/(?P<workflow_id>{SLUG})/(?P<queue>[^/]+)"


def route(pattern: str, view: Any, name: str) -> URLPattern:
    return re_path(rf"^{pattern}/?$", view, name=name)


urlpatterns = [
    route("healthz", health.healthz, "healthz"),
    route("readyz", health.ReadyView.as_view(), "readyz"),
    route("metrics", metrics.MetricsView.as_view(), "metrics"),
    route("account", account.AccountView.as_view(), "account"),
    route("audit", page_or_api(pages.audit, audit.AuditView.as_view()), "audit"),
    route("audit/export", audit.AuditExportView.as_view(), "audit-export"),
    route("ws-tickets", tickets.TicketsView.as_view(), "ws-tickets"),
    route("prod/start", production.StartView.as_view(), "start"),
    route("prod/stop", production.StopView.as_view(), "stop"),
    route("prod/pause", production.PauseView.as_view(), "pause"),
    route("prod/resume", production.ResumeView.as_view(), "resume"),
    route("prod/drain", production.DrainView.as_view(), "drain"),
    route(f"prod/status/(?P<workflow_id>{SLUG})", production.StatusView.as_view(), "status"),
    route("dev/execute", bench.execute, "execute"),
    route("dev/render", bench.render, "render"),
    route("dev/cancel", bench.CancelView.as_view(), "bench-cancel"),
    route("dev/validate", validation.ValidateWorkflowView.as_view(), "validate"),
    route("dev/load", bench.LoadView.as_view(), "bench-load"),
    route("dev/forget", bench.ForgetView.as_view(), "bench-forget"),
    route(f"dev/cache/(?P<workflow_id>{SLUG})", bench.OverviewView.as_view(), "bench-overview"),
    route(
        f"dev/input/(?P<workflow_id>{SLUG})/(?P<node_id>[^/]+)",
        bench.InputView.as_view(),
        "bench-input",
    ),
    route(
        f"dev/cache/(?P<workflow_id>{SLUG})/(?P<node_id>[^/]+)",
        bench.CacheView.as_view(),
        "bench-cache",
    ),
    route(f"dev/taps/(?P<workflow_id>{SLUG})/(?P<node_id>[^/]+)", taps.TapsView.as_view(), "taps"),
    route("workflows", workflows.WorkflowsView.as_view(), "workflows"),
    route(f"workflows/(?P<workflow_id>{SLUG})", workflows.WorkflowView.as_view(), "workflow"),
    route(
        f"workflows/(?P<workflow_id>{SLUG})/versions",
        workflows.VersionsView.as_view(),
        "versions",
    ),
    route(
        f"workflows/(?P<workflow_id>{SLUG})/versions/(?P<number>{NUMBER})",
        workflows.VersionView.as_view(),
        "version",
    ),
    route(
        "credentials",
        page_or_api(pages.credentials, credentials.CredentialsView.as_view()),
        "credentials",
    ),
    route(
        f"credentials/(?P<name>{SLUG})",
        page_or_api(pages.credential, credentials.CredentialView.as_view()),
        "credential",
    ),
    route("examples", examples.ExamplesView.as_view(), "examples"),
    route("nodes", nodes.NodesView.as_view(), "nodes"),
    route(f"nodes/(?P<node_type>{SLUG})/form", nodes.NodeFormView.as_view(), "node-form"),
    route(f"nodes/(?P<node_type>{SLUG})/validate", nodes.ValidateView.as_view(), "node-validate"),
    route("queues", page_or_api(pages.queues, queues.QueuesView.as_view()), "queues"),
    route(QUEUE, page_or_api(pages.queue, queues.QueueView.as_view()), "queue"),
    route(f"{QUEUE}/items", queues.ItemsView.as_view(), "queue-items"),
    route(f"{QUEUE}/purge", queues.PurgeView.as_view(), "queue-purge"),
    route(
        "dead-letters",
        page_or_api(pages.dead_letters, dead_letters.DeadLettersView.as_view()),
        "dead-letters",
    ),
    route("dead-letters/groups", dead_letters.GroupsView.as_view(), "dead-letter-groups"),
    route(
        f"dead-letters/(?P<dead_letter_id>{NUMBER})",
        page_or_api(pages.dead_letter, dead_letters.DeadLetterView.as_view()),
        "dead-letter",
    ),
    route(
        f"dead-letters/(?P<dead_letter_id>{NUMBER})/replay",
        dead_letters.ReplayView.as_view(),
        "dead-letter-replay",
    ),
    route(
        f"dead-letters/(?P<dead_letter_id>{NUMBER})/discard",
        dead_letters.DiscardView.as_view(),
        "dead-letter-discard",
    ),
    route("dead-letters/replay", dead_letters.BulkReplayView.as_view(), "dead-letters-replay"),
    route("dead-letters/discard", dead_letters.BulkDiscardView.as_view(), "dead-letters-discard"),
    route("graph", graphs.GraphsView.as_view(), "graphs"),
    route("graph/create", graphs.CreateView.as_view(), "graph-create"),
    route("graph/run", runs.run, "graph-run"),
    route("graph/runs", runs.RunsView.as_view(), "runs"),
    route(f"graph/state/(?P<run_id>{SLUG})", runs.StateView.as_view(), "run-state"),
    route(f"graph/(?P<graph_id>{SLUG})", graphs.GraphView.as_view(), "graph"),
    route(RUN, runs.RunView.as_view(), "run"),
    route(f"{RUN}/cancel", runs.CancelView.as_view(), "run-cancel"),
    route(f"{RUN}/resume", runs.ResumeView.as_view(), "run-resume"),
    route(f"{RUN}/retry", runs.RetryView.as_view(), "run-retry"),
    route(f"{RUN}/fork", runs.ForkView.as_view(), "run-fork"),
    route(f"{RUN}/log", runs.LogView.as_view(), "run-log"),
    route(f"{RUN}/timeline", runs.TimelineView.as_view(), "run-timeline"),
    route(f"{RUN}/checkpoints", runs.CheckpointsView.as_view(), "run-checkpoints"),
    route("runs", pages.runs, "runs-page"),
    route(f"runs/(?P<run_id>{SLUG})", pages.run, "run-page"),
    route("tools", tools.ToolsView.as_view(), "tools"),
    route("tools/(?P<name>[^/]+)", tools.ToolView.as_view(), "tool"),
    route("tools/(?P<name>[^/]+)/call", tools.call, "tool-call"),
    route(
        f"studio/forms/(?P<node_type>{SLUG})", fragments.NodeFragmentView.as_view(), "node-fragment"
    ),
    route("studio", pages.studio, "studio-new"),
    route(f"studio/(?P<workflow_id>{SLUG})", pages.studio, "studio"),
    route(rf"webhooks/(?P<path>{HOOK})", webhooks.receive, "webhook"),
    route("schema", schema.SchemaView.as_view(), "schema"),
    route("docs", login_required(schema.DocsView.as_view(url_name="schema")), "docs"),
]
