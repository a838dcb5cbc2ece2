"""What is open to nodes: addresses, entries of EGRESS_ALLOW, our own servers."""

import ipaddress

import pytest

from orchestrator.exceptions import EgressDenied, InvalidRequest
from orchestrator.security import egress
from orchestrator.security.egress.addresses import DENIED_V4, DENIED_V6, is_public, parts_of
from orchestrator.security.egress.policy import host_name


def answering(**names):
    """Return a resolver that knows these names, and addresses."""

    async def lookup(host, port):
        return names.get(host.replace(".", "_"), [host])

    return lookup


@pytest.fixture
def allow(open_egress):
    """Install a policy with these entries, and with a resolver that knows these names."""

    def install(*entries, own=(), **names):
        open_egress(*entries, own=own, lookup=answering(**names))

    install()
    return install


async def ips(host, port=443, **options):
    return [address.ip for address in await egress.resolve(host, port, **options)]


@pytest.mark.parametrize("network", [*DENIED_V4, *DENIED_V6], ids=str)
def test_a_closed_network_is_closed_from_end_to_end(network):
    assert not is_public(network[0])
    assert not is_public(network[-1])


@pytest.mark.parametrize(
    "text",
    ["8.8.8.8", "1.1.1.1", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "2a00:1450::1"],
)
def test_other_addresses_are_public(text):
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text", ["::", "::1", "fc00::1", "fe80::1", "ff02::1", "100::1", "5f00::1"]
)
def test_of_ipv6_only_the_part_that_is_routed_is_public(text):
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "::ffff:10.0.0.1",
        "::10.0.0.1",
        "64:ff9b::10.0.0.1",
        "64:ff9b:1::10.0.0.1",
        "2002:a00:1::5",
        "2001:0:8.8.8.8::".replace("8.8.8.8", "808:808") + "f5ff:fffe",
        "2a00:1450:0:0:0:5efe:10.0.0.1",
    ],
)
def test_an_address_within_an_address_is_found(text):
    assert ipaddress.ip_address("10.0.0.1") in parts_of(ipaddress.ip_address(text))


async def test_a_public_address_is_open_and_a_private_one_is_not(allow):
    assert await ips("8.8.8.8") == ["8.8.8.8"]
    with pytest.raises(EgressDenied, match=r"'10\.0\.0\.1' port 443 is closed.*no public address"):
        await ips("10.0.0.1")


async def test_every_answer_has_to_be_open(allow):
    allow(two_test=["8.8.8.8", "10.0.0.1"])
    with pytest.raises(EgressDenied, match=r"two\.test"):
        await ips("two.test")


async def test_what_wraps_a_public_address_is_that_address_where_packets_get_there(allow):
    assert await ips("::ffff:8.8.8.8") == ["::ffff:8.8.8.8"]
    assert await ips("64:ff9b::8.8.8.8") == ["64:ff9b::8.8.8.8"]
    for other in ("2002:808:808::1", "::8.8.8.8", "64:ff9b:1::8.8.8.8"):
        with pytest.raises(EgressDenied):
            await ips(other)


async def test_a_network_opens_its_addresses_at_every_port(allow):
    allow("10.0.0.0/8", "fd00::/8")
    assert await ips("10.1.2.3", 8080, web=True) == ["10.1.2.3"]
    assert await ips("fd00::5") == ["fd00::5"]
    assert await ips("::ffff:10.1.2.3")
    with pytest.raises(EgressDenied):
        await ips("192.168.0.1")


async def test_an_open_wrapper_does_not_open_what_it_wraps(allow):
    allow("2002::/16")
    assert await ips("2002:808:808::1")
    with pytest.raises(EgressDenied):
        await ips("2002:a00:1::1")


@pytest.mark.parametrize("entry", ["10.0.0.5:8080", "[fd00::5]:8080", "api.internal:8080"])
async def test_an_entry_with_a_port_opens_only_that(allow, entry):
    host = entry.rpartition(":")[0]
    allow(entry, api_internal=["192.168.0.9"])
    assert await ips(host, 8080, web=True)
    with pytest.raises(EgressDenied):
        await ips(host, 8081)


async def test_a_host_is_known_by_its_name_however_it_is_written(allow):
    allow("API.internal.", api_internal=["192.168.0.9"], other_internal=["192.168.0.9"])
    assert await ips("api.INTERNAL") == ["192.168.0.9"]
    assert await ips("api.internal.") == ["192.168.0.9"]
    for other in ("192.168.0.9", "other.internal"):
        with pytest.raises(EgressDenied):
            await ips(other)


async def test_http_has_ports_of_its_own(allow):
    for port in (22, 25, 5432, 6379, 8443):
        with pytest.raises(EgressDenied, match=f"{port} is no port of HTTP"):
            await ips("8.8.8.8", port, web=True)
        assert await ips("8.8.8.8", port)  # of a node that speaks another protocol
    allow("*:8443")
    assert await ips("8.8.8.8", 8443, web=True)
    with pytest.raises(EgressDenied):
        await ips("10.0.0.1", 8443, web=True)


async def test_our_own_servers_are_closed_unless_listed_with_their_port(allow):
    own = [("db.internal", 5432), ("203.0.113.7", 6379)]
    names = {"db_internal": ["8.8.8.8"], "alias_test": ["8.8.8.8"]}
    allow("8.8.8.0/24", "db.internal", "203.0.113.7", own=own, **names)
    for host, port in (("alias.test", 5432), ("db.internal", 5432), ("203.0.113.7", 6379)):
        with pytest.raises(EgressDenied, match="a server of the orchestrator"):
            await ips(host, port)
    assert await ips("alias.test", 5433)
    allow("db.internal:5432", "203.0.113.7:6379", own=own, **names)
    assert await ips("db.internal", 5432)
    assert await ips("203.0.113.7", 6379)
    with pytest.raises(EgressDenied):
        await ips("alias.test", 5432)


async def test_a_server_on_this_machine_is_closed_at_all_addresses_of_the_machine(allow):
    allow("127.0.0.0/8", "::1", "0.0.0.0", own=[("localhost", 6379)], localhost=["127.0.0.1"])
    for host in ("127.0.0.1", "127.0.0.2", "0.0.0.0", "::ffff:127.0.0.1"):
        with pytest.raises(EgressDenied, match="a server of the orchestrator"):
            await ips(host, 6379)
    assert await ips("127.0.0.2", 6380)


async def test_a_server_of_ours_that_cannot_be_found_keeps_its_port_closed(allow):
    async def broken(host, port):
        raise OSError("the resolver is away")

    egress.install(egress.EgressPolicy(own=(("db.internal", 5432),), lookup=broken))
    with pytest.raises(OSError, match="resolver"):
        await ips("8.8.8.8", 5432)


@pytest.mark.parametrize(
    "host",
    ["", " ", "a b", "a\r\nb", "a\0b", "..", "a..b", "-a.test", "fe80::1%eth0", "::1%1", "x" * 300],
)
async def test_what_is_no_host_is_refused(allow, host):
    with pytest.raises(EgressDenied, match="no host name"):
        await ips(host)


def test_names_beyond_ascii_become_what_is_looked_up():
    assert host_name("bücher.test") == "xn--bcher-kva.test"
    assert host_name("①②⑦.⓪.⓪.①") == "127.0.0.1"
    assert host_name("[::1]") == "::1"


@pytest.mark.parametrize(
    "entry",
    ["10.0.0.0/99", "10.0.0.1/8", "300.1.2.3", "10.0.0", "a b", "host:0", "host:99999", "*", "*:x",
     "http://host", "host/path", "[::1", "fe80::1%eth0", ""],
)  # fmt: skip
def test_an_entry_that_means_nothing_is_named(entry):
    with pytest.raises(InvalidRequest, match="EGRESS_ALLOW") as refused:
        egress.EgressPolicy.parse(["8.8.8.8", entry])
    assert repr(entry) in refused.value.message


def test_without_a_policy_nothing_private_is_open():
    assert egress.EgressPolicy().allow_networks == ()
    assert egress.EgressPolicy().ports == {80, 443}
