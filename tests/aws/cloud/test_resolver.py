"""The resolver's answers: AWS's names, private zones, and nothing for the rest, at once."""

import socket
from ipaddress import IPv4Address, IPv4Network

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest

from lab.cloud.api_gateway import loopback_listener
from lab.cloud.dns_zones import PrivateZone, RecordSet, read_private_zones
from lab.cloud.inventory import MotoClients
from lab.cloud.resolver import RecordStore, Resolver, respond
from tests.aws.cloud.support import REGION, LoopThread, Network, client

API, S3 = IPv4Address("198.19.0.16"), IPv4Address("198.19.0.17")
INSIDE, OUTSIDE = IPv4Address("10.20.1.10"), IPv4Address("10.99.1.10")
ZONE = PrivateZone(
    name="dev.webstack.internal",
    networks=(IPv4Network("10.20.0.0/16"),),
    records={
        ("web.dev.webstack.internal", "A"): RecordSet(ttl=5, values=("10.20.1.10", "10.20.1.11")),
        ("www.dev.webstack.internal", "CNAME"): RecordSet(ttl=30, values=("web.dev.webstack.internal.",)),
        ("note.dev.webstack.internal", "TXT"): RecordSet(ttl=60, values=('"a note"',)),
        ("deep.down.dev.webstack.internal", "A"): RecordSet(ttl=5, values=("10.20.1.12",)),
    },
)
NAMES = RecordStore(api_address=API, s3_address=S3, zones=(ZONE,), static_hosts={"deb.debian.org": API})


def ask(name: str, kind: str = "A", source: IPv4Address = INSIDE, names: RecordStore = NAMES) -> tuple[str, list[str]]:
    """The answer's code and its records as text, sorted."""
    wire = respond(dns.message.make_query(name, kind).to_wire(), source, names, limit=512)
    assert wire is not None
    answer = dns.message.from_wire(wire)
    return dns.rcode.to_text(answer.rcode()), sorted(line for record in answer.answer for line in record.to_text().splitlines())


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("ec2.eu-west-1.amazonaws.com", API),
        ("secretsmanager.us-east-1.amazonaws.com", API),
        ("route53.amazonaws.com", API),
        ("s3.eu-west-1.amazonaws.com", S3),
        ("s3.amazonaws.com", S3),
        ("bucket.s3.eu-west-1.amazonaws.com", S3),
        ("bucket.with.dots.s3.dualstack.eu-west-1.amazonaws.com", S3),
        ("bucket.s3.amazonaws.com", S3),
        ("s3-control.amazonaws.com", S3),
        ("s3tables.eu-west-1.amazonaws.com", API),
        ("deb.debian.org", API),
    ],
)
def test_awss_names_are_the_labs_addresses(name: str, address: IPv4Address) -> None:
    assert ask(name) == ("NOERROR", [f"{name}. 60 IN A {address}"])
    assert ask(name, "AAAA") == ("NOERROR", [])


def test_a_record_has_all_its_values_and_its_own_ttl() -> None:
    both = ["web.dev.webstack.internal. 5 IN A 10.20.1.10", "web.dev.webstack.internal. 5 IN A 10.20.1.11"]
    assert ask("web.dev.webstack.internal") == ("NOERROR", both)
    assert ask("www.dev.webstack.internal") == ("NOERROR", [*both, "www.dev.webstack.internal. 30 IN CNAME web.dev.webstack.internal."])
    assert ask("note.dev.webstack.internal", "TXT") == ("NOERROR", ['note.dev.webstack.internal. 60 IN TXT "a note"'])


def test_the_askers_spelling_comes_back() -> None:
    assert ask("WEB.dev.Webstack.internal")[1][0].startswith("WEB.dev.Webstack.internal. 5 IN A")


def test_a_name_without_records_of_the_type_exists_and_one_without_any_does_not() -> None:
    assert ask("web.dev.webstack.internal", "AAAA") == ("NOERROR", [])
    assert ask("down.dev.webstack.internal") == ("NOERROR", [])
    assert ask("gone.dev.webstack.internal") == ("NXDOMAIN", [])


@pytest.mark.parametrize(
    ("ttl", "minimum", "remembered"), [(900, 86400, 900), (5, 86400, 5), (900, 5, 5)], ids=["as born", "short TTL", "short minimum"]
)
def test_that_there_is_nothing_is_remembered_for_as_long_as_the_zones_own_record_says(ttl: int, minimum: int, remembered: int) -> None:
    value = f"ns-1536.awsdns-00.co.uk. awsdns-hostmaster.amazon.com. 1 7200 900 1209600 {minimum}"
    own = {(ZONE.name, "SOA"): RecordSet(ttl=ttl, values=(value,))}
    names = RecordStore(api_address=API, s3_address=S3, zones=(PrivateZone(name=ZONE.name, networks=ZONE.networks, records=own),))
    wire = respond(dns.message.make_query("gone.dev.webstack.internal", "A").to_wire(), INSIDE, names, limit=512)
    assert wire is not None
    assert [record.to_text() for record in dns.message.from_wire(wire).authority] == [f"dev.webstack.internal. {remembered} IN SOA {value}"]


def test_a_private_zone_is_for_its_own_vpc_alone() -> None:
    assert ask("web.dev.webstack.internal", source=OUTSIDE) == ("NXDOMAIN", [])


def test_the_longest_zone_answers() -> None:
    inner = PrivateZone(name="db.dev.webstack.internal", networks=ZONE.networks, records={})
    names = RecordStore(api_address=API, s3_address=S3, zones=(ZONE, inner))
    assert ask("x.db.dev.webstack.internal", names=names) == ("NXDOMAIN", [])


@pytest.mark.parametrize(
    "name", ["example.com", "does-not-exist.example.com", "example.invalid", "__cloud_init_expected_not_found__", "amazonaws.com.evil.org"]
)
def test_nothing_else_exists(name: str) -> None:
    assert ask(name) == ("NXDOMAIN", [])


def test_a_host_finds_its_own_name() -> None:
    assert ask("ip-10-20-1-10.ec2.internal")[1] == ["ip-10-20-1-10.ec2.internal. 60 IN A 10.20.1.10"]
    assert ask("ip-10-20-1-11.eu-west-1.compute.internal")[1] == ["ip-10-20-1-11.eu-west-1.compute.internal. 60 IN A 10.20.1.11"]
    assert ask("ip-8-8-8-8.ec2.internal") == ("NXDOMAIN", [])


def test_what_is_no_query_gets_no_answer() -> None:
    assert respond(b"nonsense", INSIDE, NAMES, limit=512) is None
    answer = dns.message.make_response(dns.message.make_query("example.com", "A")).to_wire()
    assert respond(answer, INSIDE, NAMES, limit=512) is None, "or two resolvers could talk for ever"


def test_an_answer_too_large_for_a_datagram_is_cut_and_whole_over_tcp() -> None:
    values = tuple(f"10.20.7.{number}" for number in range(1, 200))
    zone = PrivateZone(name="z", networks=ZONE.networks, records={("many.z", "A"): RecordSet(ttl=5, values=values)})
    names = RecordStore(api_address=API, s3_address=S3, zones=(zone,))
    query = dns.message.make_query("many.z", "A").to_wire()
    cut, whole = respond(query, INSIDE, names, limit=512), respond(query, INSIDE, names, limit=None)
    assert cut is not None
    assert whole is not None
    assert dns.message.from_wire(cut).flags & 0x0200, "the TC flag"
    assert len(dns.message.from_wire(whole).answer[0]) == 199


def test_the_resolver_serves_udp_and_tcp_and_can_be_silent(loop: LoopThread) -> None:
    here = IPv4Address("127.0.0.1")
    zone = PrivateZone(name="z", networks=(IPv4Network("127.0.0.0/8"),), records={("a.z", "A"): RecordSet(ttl=1, values=("10.0.0.1",))})
    resolver = Resolver(RecordStore(api_address=API, s3_address=S3, zones=(zone,)))
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.setblocking(False)
    datagrams.bind((str(here), 0))
    port = datagrams.getsockname()[1]
    listening = loopback_listener(0)
    tcp_port = listening.getsockname()[1]
    loop.run(resolver.start(datagrams, listening))
    loop.add_cleanup(resolver.stop)
    query = dns.message.make_query("a.z", "A")
    assert dns.query.udp(query, str(here), port=port, timeout=5).answer[0].to_text() == "a.z. 1 IN A 10.0.0.1"
    assert dns.query.tcp(query, str(here), port=tcp_port, timeout=5).answer[0].to_text() == "a.z. 1 IN A 10.0.0.1"
    resolver.unresponsive = True
    with pytest.raises(dns.exception.Timeout):
        dns.query.udp(query, str(here), port=port, timeout=0.2)
    resolver.unresponsive = False
    resolver.store.zones = ()
    assert dns.query.udp(query, str(here), port=port, timeout=5).rcode() == dns.rcode.NXDOMAIN


def test_private_zones_are_read_from_the_api(api: str, network: Network) -> None:
    route53 = client("route53", api)
    zone = route53.create_hosted_zone(
        Name="dev.webstack.internal",
        CallerReference="1",
        VPC={"VPCRegion": REGION, "VPCId": network.vpc},
        HostedZoneConfig={"PrivateZone": True},
    )["HostedZone"]["Id"]
    route53.create_hosted_zone(Name="public.example", CallerReference="2")
    record = {
        "Name": "web.dev.webstack.internal",
        "Type": "A",
        "TTL": 5,
        "ResourceRecords": [{"Value": "10.20.1.10"}, {"Value": "10.20.1.11"}],
    }
    route53.change_resource_record_sets(HostedZoneId=zone, ChangeBatch={"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]})
    (found,) = read_private_zones(MotoClients(api))
    assert (found.name, found.networks) == ("dev.webstack.internal", (IPv4Network("10.20.0.0/16"),))
    assert found.records["web.dev.webstack.internal", "A"] == RecordSet(ttl=5, values=("10.20.1.10", "10.20.1.11"))
