"""What hostile clients have tried."""

import pytest

from orchestrator.routing import same_origin


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["version=%00", "version=%0d%0aX-Evil:%201", "lang=../.."])
def test_nothing_of_a_query_gets_into_a_header(api, query):
    answer = api("viewer").get(f"/schema/?format=json&{query}")
    assert answer.status_code == 200
    assert answer.headers["Content-Disposition"].isprintable()


@pytest.mark.django_db
@pytest.mark.parametrize("pattern", ["(" * 500 + ")" * 500, "a{99999999999}", "["])
def test_a_pattern_that_cannot_be_compiled_is_located(api, pattern):
    form = {"field": "value", "operator": "matches", "value": pattern}
    workflow = {
        "name": "Pattern",
        "nodes": [
            {"id": "1", "type": "counter", "data": {"form": {"stop": 1}}},
            {"id": "2", "type": "if-condition", "data": {"form": form}},
        ],
        "edges": [{"source": "1", "target": "2"}],
    }
    client = api("editor")
    answer = client.post("/workflows/", workflow)
    assert answer.status_code == 400
    paths = [problem["path"] for problem in answer.json()["error"]["details"]]
    assert paths == ["nodes[1].data.form.value"]
    assert client.get("/workflows/").json()["count"] == 0


@pytest.mark.parametrize(
    "origin", ["http://evil@testserver", "http://testserver/path", "http://testserver?x"]
)
def test_an_origin_is_a_scheme_a_host_and_a_port(origin):
    assert same_origin("http://testserver", "testserver")
    assert not same_origin(origin, "testserver")
