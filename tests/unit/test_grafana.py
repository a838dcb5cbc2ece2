"""The dashboard and the alert rules ask for what `/metrics` has, in queries that can be parsed."""

import json
import re
from pathlib import Path

import promql_parser as promql
import pytest
import yaml

from orchestrator.services.metric_names import REQUESTS, SYSTEM

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy/grafana"
BOARD = json.loads((FOLDER / "dashboard.json").read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
[GROUP] = yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"]
RULES = GROUP["rules"]
METRICS = {**SYSTEM, **REQUESTS}
SUFFIXES = {"counter": ("",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
SAMPLES = {name + end: name for name, m in METRICS.items() for end in SUFFIXES[m.kind]}
OF_ONE_PROCESS = ("workflow_http_", "workflow_feed_")
KINDS = {"state": ["failed", "blocked|degraded"], "status": ["dead"], "code": ["5xx"]}
"""Values that queries look for."""


def plain(query):
    """Return a query of Grafana's as Prometheus gets it."""
    return query.replace("$__rate_interval", "5m").replace("$workflow", ".*")


QUERIES = {
    **{rule["alert"]: rule["expr"] for rule in RULES},
    **{
        f"{panel['id']} {panel['title']} {target['refId']}": plain(target["expr"])
        for panel in PANELS
        for target in panel["targets"]
    },
}


class Query:
    """What a query selects, and how it is aggregated on the way out."""

    def __init__(self, text):
        self.selected = []
        """(name, matchers, aggregations from the outside in, calls)"""
        above = []

        def enter(expr):
            above.append(expr)
            if isinstance(expr, promql.VectorSelector):
                matchers = {m.name: m.value for m in expr.matchers.matchers}
                by = [e for e in above if isinstance(e, promql.AggregateExpr)]
                calls = [e.func.name for e in above if isinstance(e, promql.Call)]
                self.selected.append((expr.name, matchers, by, calls))

        self.expr = promql.parse(text)
        promql.walk(self.expr, enter, lambda _: above.pop() and None)


SELECTIONS = [
    pytest.param(*found, id=f"{title} {number}".replace(" ", "-"))
    for title, text in QUERIES.items()
    for number, found in enumerate(Query(text).selected)
]


def labels_of(name):
    own = METRICS[SAMPLES[name]].labels
    return {*own, "le"} if name.endswith("_bucket") else set(own)


@pytest.mark.parametrize(("name", "matchers", "by", "calls"), SELECTIONS)
def test_a_query_asks_for_what_there_is(name, matchers, by, calls):
    if name == "up":
        assert matchers == {"job": "orchestrator"}
        return
    assert name in SAMPLES
    assert matchers.keys() <= labels_of(name)
    for aggregation in by:
        if aggregation.modifier is not None:
            assert set(aggregation.modifier.labels) <= labels_of(name)
    for label, value in matchers.items():
        assert label == "workflow" or value in KINDS[label]
    rated = {"rate", "increase"} & set(calls)
    assert bool(rated) is (METRICS[SAMPLES[name]].kind != "gauge"), "counters only ever rise"


@pytest.mark.parametrize(("name", "matchers", "by", "calls"), SELECTIONS)
def test_several_web_processes_are_not_added_up(name, matchers, by, calls):
    """Each answers for the whole system: what is nearest to a metric takes the greatest, with all
    labels of it that tell rows apart; only what is of one process is summed."""
    if name == "up":
        return
    nearest = str(by[-1].op)
    if name.startswith(OF_ONE_PROCESS):
        assert nearest == "sum"
        return
    assert nearest in ("max", "min")
    kept = set(by[-1].modifier.labels) if by[-1].modifier is not None else set()
    assert labels_of(name) - kept <= {*matchers, "state", "reason"}


def test_every_metric_is_on_the_dashboard():
    shown = {
        SAMPLES[name]
        for panel in PANELS
        for target in panel["targets"]
        for name, *_ in Query(plain(target["expr"])).selected
    }
    assert shown == set(METRICS)


def test_the_panels_of_the_dashboard_are_whole():
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    cells = set()
    for panel in BOARD["panels"]:
        at = panel["gridPos"]
        own = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not own & cells, panel["title"]
        assert at["x"] + at["w"] <= 24
        cells |= own
    for panel in PANELS:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["datasource"]["uid"] == "${datasource}"
        for target in panel["targets"]:
            named = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
            outer = Query(plain(target["expr"])).selected[0][2][0]
            assert named <= set(outer.modifier.labels if outer.modifier else ()), target
    names = {variable["name"] for variable in BOARD["templating"]["list"]}
    assert set(re.findall(r"\$\{?([a-z]+)", json.dumps(PANELS))) <= names
    [query] = [v["query"]["query"] for v in BOARD["templating"]["list"] if v["type"] == "query"]
    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", query).groups()
    assert label in labels_of(metric)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_is_one_that_prometheus_takes(rule):
    assert {"alert", "expr", "labels", "annotations"} <= rule.keys()
    assert rule.keys() <= {"alert", "expr", "for", "labels", "annotations"}
    assert rule["labels"].keys() == {"severity"}
    assert rule["labels"]["severity"] in ("page", "warn", "info")
    assert rule["annotations"].keys() == {"summary", "description"}
    if "for" in rule:
        assert promql.parse_duration(rule["for"]).total_seconds() >= 60
    text = " ".join(rule["annotations"].values())
    assert set(re.findall(r"{{ \$(\w+)", text)) <= {"labels", "value"}
    named = set(re.findall(r"\$labels\.(\w+)", text))
    if rule["expr"].startswith("up"):
        assert named == {"instance"}
    else:
        outer = Query(rule["expr"]).selected[0][2][0]
        assert named <= set(outer.modifier.labels if outer.modifier else ())


def test_every_alert_has_its_row_on_the_page():
    page = (ROOT / "docs/metrics.md").read_text()
    named = re.findall(r"^\| `(Orchestrator\w+)` \| (\w+) \|", page, re.MULTILINE)
    assert named == [(rule["alert"], rule["labels"]["severity"]) for rule in RULES]
