"""The site below a prefix, behind a proxy: every page, and nothing outside of the prefix."""

import re
from contextlib import closing

import pytest

from tests.browser.conftest import log_in, opened
from tests.deployment import Deployment
from tests.proxy import Proxy

pytestmark = [pytest.mark.browser, pytest.mark.long]


# `/queues` is also the beginning of paths of ours.
@pytest.fixture(
    scope="module", params=[("/flows", False), ("/queues", True)], ids=["kept", "taken"]
)
def site(request, browser, redis_server, tmp_path_factory):
    """Give a deployment, and the address at which its proxy serves it."""
    prefix, strip = request.param
    environment = {"URL_PREFIX": prefix, "TRUSTED_PROXIES": "127.0.0.1"}
    folder = tmp_path_factory.mktemp("deployment")
    with closing(Deployment(folder, environment=environment)) as deployed:
        deployed.start_runner()
        with closing(Proxy(int(deployed.environment["PORT"]), prefix, strip=strip)) as proxy:
            yield deployed, proxy.url


def test_every_page_works_below_a_prefix(browser, site, expect, hello_loops):
    deployment, address = site
    hello_loops["nodes"][0]["data"]["form"] = {"stop": None, "interval": 0.05}
    workflow = deployment.create(hello_loops)
    with opened(browser, address) as page:
        log_in(page)
        assert page.url == address
        main = page.get_by_role("navigation", name="Main")
        row = page.get_by_role("row").filter(has=page.get_by_role("link", name="Hello loops"))
        row.get_by_role("button", name=re.compile("^Start")).click()
        expect(row.get_by_text("running", exact=True)).to_be_visible()

        row.get_by_role("link", name="Hello loops").click()
        expect(page).to_have_url(re.compile(f"{address}studio/{workflow}"))
        expect(page.locator("#studio .react-flow__node")).to_have_count(4)
        for name in ("Dead letters", "Queues", "Runs"):
            main.get_by_role("link", name=name).click()
            expect(main.get_by_role("link", name=name)).to_have_attribute("aria-current", "page")
            expect(page.get_by_role("heading", level=1)).to_be_visible()
            expect(page.locator("#connection")).to_be_hidden()
        main.get_by_role("link", name="API").click()
        expect(page.get_by_role("button", name="POST /prod/start/", exact=True)).to_be_visible()
        main.get_by_role("link", name="Admin").click()
        page.get_by_role("link", name="Workflows", exact=True).first.click()
        expect(page.get_by_role("link", name="Hello loops")).to_be_visible()
    assert deployment.status(workflow)["status"] == "running"
