"""Settings: every mistake named with its key, value, rule and remedy, all at once, and no input that gives a traceback."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stack.problems import UNSET, ConfigurationError, Problem
from stack.settings import RENAMED_KEYS, SECTIONS, Settings, parse, parse_with_problems, reference_rows, with_current_keys

# A small alphabet with what usually breaks things: the whole of Unicode only takes long to draw from.
words = st.text(alphabet="aZ0-_.:/é٣ \n\0", max_size=12)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
some_key = st.sampled_from([row[0].split(".")[-1] for row in reference_rows()]) | words
likely = st.dictionaries(
    st.sampled_from([*SECTIONS, "netwrok"]),
    json_values
    | st.dictionaries(
        some_key,
        json_values
        | st.sampled_from(
            ["10.0.0.0/16", "0.0.0.0/0", "t3.small", "a1.large", "acme", "secret", "production", "ephemeral", "wsgi:app", "app"]
        )
        | st.dictionaries(some_key, json_values, max_size=3),
        max_size=6,
    ),
    max_size=5,
)


@given(likely)
@example({"network": {"cidr": "٣.0.0.0/16"}})
@example({"network": {"zones": 10**400}})
@example({"environment": {"tags": {"": "x", "y": None}}})
@example({"loadBalancer": {"tls": None, "allowedCidrs": [None, "::/0"]}})
@example({"environment": {"expires": "2030-01-01"}})
def test_no_configuration_gives_anything_but_settings_or_the_list_of_its_mistakes(raw: dict[str, Any]) -> None:
    settings, problems = parse_with_problems(raw)
    assert isinstance(settings, Settings)
    for problem in problems:
        assert problem.key.startswith("webstack:")
        assert problem.rule
        assert problem.remedy
    if problems:
        with pytest.raises(ConfigurationError, match="the configuration has"):
            parse(raw)


@given(st.dictionaries(st.sampled_from(list(SECTIONS)), st.just({}), max_size=6))
def test_empty_sections_are_the_defaults(raw: dict[str, Any]) -> None:
    assert parse(raw) == Settings()


def mistakes(raw: dict[str, Any]) -> list[Problem]:
    return parse_with_problems(raw)[1]


CASES: list[tuple[dict[str, Any], str, object, str, str]] = [
    ({"network": {"cidr": "10.0.0/16"}}, "network.cidr", "10.0.0/16", "IPv4 network in CIDR notation", "such as 10.20.0.0/16"),
    ({"network": {"cidr": "10.0.0.1/16"}}, "network.cidr", "10.0.0.1/16", "without bits beyond its prefix", "write 10.0.0.0/16"),
    ({"network": {"cidr": "10.0.0.0/24"}}, "network.cidr", "10.0.0.0/24", "/24 is too small", "give /22"),
    ({"network": {"cidr": "10.0.0.0/8"}}, "network.cidr", "10.0.0.0/8", "/8 is too large", "give /16"),
    ({"network": {"cidr": "8.8.0.0/16"}}, "network.cidr", "8.8.0.0/16", "private addresses", "within 10.0.0.0/8"),
    ({"network": {"avoidCidrs": ["10.20.64.0/20"]}}, "network.avoidCidrs[0]", "10.20.64.0/20", "no overlap with network.cidr", "choose"),
    (
        {"loadBalancer": {"allowedCidrs": ["192.0.2.0/24", "192.0.2.128/25"]}},
        "loadBalancer.allowedCidrs[1]",
        "192.0.2.128/25",
        "no overlap with 192.0.2.0/24",
        "keep the wider one",
    ),
    (
        {"network": {"cidr": "10.20.0.0/22"}, "web": {"count": 130}},
        "web.count",
        130,
        "at most 58 in network.cidr 10.20.0.0/22 with 2 zones",
        "set 58 or less, or more network.zones",
    ),
    ({"loadBalancer": {"allowedCidrs": []}}, "loadBalancer.allowedCidrs", [], "at least one item", "add one"),
    ({"network": {"zones": 1}}, "network.zones", 1, "at least 2", "set 2 or more"),
    ({"network": {"zones": 5}}, "network.zones", 5, "at most 4", "set 4 or less"),
    ({"network": {"zoneNames": ["a"]}}, "network.zoneNames", ("a",), "as many different zones as network.zones", "name that many"),
    ({"network": {"zoneNames": ["a", "a"]}}, "network.zoneNames", ("a", "a"), "as many different zones", "name that many"),
    ({"network": {"zoneNames": ["a", "b", "a"]}}, "network.zoneNames", ("a", "b", "a"), "as many different zones", "name that many"),
    ({"network": {"nat": "per_az"}}, "network.nat", "per_az", "one of 'single' or 'per-az'", "did you mean per-az?"),
    ({"network": {"nat": "per az"}}, "network.nat", "per az", "one of 'single' or 'per-az'", "did you mean per-az?"),
    ({"environment": {"class": "prod"}}, "environment.class", "prod", "one of 'development'", "did you mean production?"),
    ({"environment": {"class": "Dev"}}, "environment.class", "Dev", "one of 'development'", "did you mean development?"),
    ({"environment": {"class": "staging"}}, "environment.class", "staging", "one of 'development'", "write development, or leave"),
    ({"environment": {"class": ""}}, "environment.class", "", "one of 'development'", "write development, or leave"),
    ({"environment": {"class": 1}}, "environment.class", 1, "one of 'development'", "write development, or leave"),
    ({"loadBalancer": {"tls": {"mode": "selfsigned"}}}, "loadBalancer.tls.mode", "selfsigned", "one of", "did you mean self-signed?"),
    ({"loadBalancer": {"tls": {"mode": "self"}}}, "loadBalancer.tls.mode", "self", "one of", "did you mean self-signed?"),
    ({"loadBalancer": {"balance": "round-robin"}}, "loadBalancer.balance", "round-robin", "one of", "did you mean roundrobin?"),
    ({"loadBalancer": {"balance": "LeastConn"}}, "loadBalancer.balance", "LeastConn", "one of", "did you mean leastconn?"),
    ({"loadBalancer": {"backendMode": "active"}}, "loadBalancer.backendMode", "active", "one of", "did you mean active-active?"),
    (
        {"loadBalancer": {"backendMode": "active_passive"}},
        "loadBalancer.backendMode",
        "active_passive",
        "one of",
        "did you mean active-passive?",
    ),
    ({"web": {"drain": 20}}, "web.drain", 20, "no such key", "did you mean drainSeconds?"),
    ({"load-balancer": {}}, "load-balancer", {}, "no such key", "did you mean loadBalancer?"),
    ({"netwrok": {}}, "netwrok", {}, "no such key", "did you mean network?"),
    ({"network": {"cdir": "x"}}, "network.cdir", "x", "no such key", "did you mean cidr?"),
    ({"loadBalancer": {"instance_type": "x"}}, "loadBalancer.instance_type", "x", "no such key", "did you mean instanceType?"),
    ({"loadBalancer": {"tls": {"mod": "x"}}}, "loadBalancer.tls.mod", "x", "no such key", "did you mean mode?"),
    ({"web": {"zzzzzz": 1}}, "web.zzzzzz", 1, "no such key", "known keys: count, instanceType"),
    ({"web": {"count": 0}}, "web.count", 0, "at least 1", "set 1 or more"),
    ({"web": {"count": "2"}}, "web.count", "2", "a whole number", "without quotes"),
    ({"web": {"count": True}}, "web.count", True, "a whole number", "without quotes"),
    ({"web": {"instanceType": "t4g.small"}}, "web.instanceType", "t4g.small", "x86-64 instance type", "such as t3.small"),
    ({"web": {"instanceType": "big"}}, "web.instanceType", "big", "family.size", "such as t3.small"),
    ({"web": {"module": "wsgi"}}, "web.module", "wsgi", "module:name", "such as wsgi:app"),
    *(
        ({"web": {key: path}}, f"web.{key}", path, "the path of a page", "such as /healthz")
        for key in ("checkPath", "readyPath")
        for path in (
            "",
            "healthz",
            "/a b",
            "/a;b",
            "/{a}",
            "/$a",
            '/"a"',
            "/a#b",
            "/a?b",
            "/a\\b",
            "/\n",
            "/a\tb",
            "/é",
            "//a",
            "/a/../b",
            "/.",
            f"/{'a' * 200}",
        )
    ),
    ({"web": []}, "web", [], "an object with keys below it", "known keys: count"),
    ({"database": {"schema": "mysql"}}, "database.schema", "mysql", "this one is MySQL's", "such as app"),
    ({"database": {"replica": "no"}}, "database.replica", "no", "true or false", "without quotes"),
    ({"database": {"instanceType": "r8gd.large"}}, "database.instanceType", "r8gd.large", "arm64 (Graviton)", "Intel or AMD"),
    ({"loadBalancer": {"count": 2}}, "loadBalancer.count", 2, "two load balancers are not there yet", "set it to 1"),
    ({"loadBalancer": {"tls": {"mode": "acme"}}}, "loadBalancer.tls.mode", "acme", "acme is not there yet", "self-signed, or secret"),
    ({"loadBalancer": {"tls": {"mode": "secret"}}}, "loadBalancer.tls.secret", UNSET, "needs the name", "name it here"),
    ({"loadBalancer": {"tls": {"secret": "x"}}}, "loadBalancer.tls.secret", "x", "only mode secret has one", "remove the key"),
    ({"loadBalancer": {"balance": "leastcon"}}, "loadBalancer.balance", "leastcon", "one of 'roundrobin'", "did you mean leastconn?"),
    ({"loadBalancer": {"domain": "Shop."}}, "loadBalancer.domain", "Shop.", "a domain name in lowercase", "shop.example.com"),
    ({"loadBalancer": {"backendMode": "active-passive"}, "web": {"count": 1}}, "web.count", 1, "at least 2", "active-active"),
    ({"environment": {"class": "ephemeral"}}, "environment.expires", UNSET, "says when it may be removed", "2030-01-31T18:00:00Z"),
    ({"environment": {"expires": "2030-01-31T18:00:00Z"}}, "environment.expires", "2030-01-31T18:00:00Z", "only an ephemeral", "remove"),
    ({"environment": {"class": "ephemeral", "expires": "soon"}}, "environment.expires", "soon", "ISO 8601", "2030-01-31T18:00:00Z"),
    ({"environment": {"ami": "debian"}}, "environment.ami", "debian", "the id of an AMI", "leave the key out"),
    (
        {"environment": {"permissionsBoundary": "limits"}},
        "environment.permissionsBoundary",
        "limits",
        "the ARN of a managed",
        "arn:aws:iam::",
    ),
    (
        {"environment": {"permissionsBoundary": "arn:aws:iam::1:policy/x"}},
        "environment.permissionsBoundary",
        "arn:aws:iam::1:policy/x",
        "the ARN of a managed",
        "arn:aws:iam::",
    ),
    ({"environment": {"tags": {"Name": "x"}}}, "environment.tags", {"Name": "x"}, "is one of its own", "another name"),
    ({"environment": {"tags": {"stack-id": "x"}}}, "environment.tags", {"stack-id": "x"}, "is one of its own", "another name"),
    ({"web": {"migrateTimeout": 30}}, "web.migrateTimeout", 30, "at least 60", "set 60 or more"),
    ({"web": {"migrateTimeout": 900}}, "web.migrateTimeout", 900, "less than readiness.timeout, 900", "raise readiness.timeout"),
    ({"readiness": {"timeout": 1}}, "readiness.timeout", 1, "at least 30", "set 30 or more"),
]


@pytest.mark.parametrize(("raw", "key", "value", "rule", "remedy"), CASES, ids=[f"{case[1]}={case[2]!r:.20}" for case in CASES])
def test_a_mistake_is_named_with_its_key_value_rule_and_remedy(
    raw: dict[str, Any], key: str, value: object, rule: str, remedy: str
) -> None:
    found = [problem for problem in mistakes(raw) if problem.key == f"webstack:{key}"]
    assert len(found) == 1, mistakes(raw)
    assert found[0].value == value
    assert rule in found[0].rule
    assert remedy in found[0].remedy


@pytest.mark.parametrize("raw", [{"readiness": {"timeout": 300}}, {"web": {"migrateTimeout": 3600}, "readiness": {"timeout": 3700}}])
def test_a_wait_that_is_shorter_than_the_default_limit_of_a_migration_nobody_chose_is_no_mistake(raw: dict[str, Any]) -> None:
    assert mistakes(raw) == []


def test_one_mistake_hides_no_other() -> None:
    raw: dict[str, Any] = {
        "netwrok": {},
        "network": {"cidr": "x", "zones": 9, "bogus": 1},
        "web": {"count": 0, "instanceType": "c7g.large"},
        "loadBalancer": {"count": 2, "tls": {"mode": "acme", "bogus": 1}},
    }
    assert sorted(problem.key.removeprefix("webstack:") for problem in mistakes(raw)) == [
        "loadBalancer.count",
        "loadBalancer.tls.bogus",
        "loadBalancer.tls.mode",
        "network.bogus",
        "network.cidr",
        "network.zones",
        "netwrok",
        "web.count",
        "web.instanceType",
    ]


def test_a_mistake_is_not_judged_twice() -> None:
    raw = {"environment": {"class": "prod", "expires": "2030-01-31T18:00:00Z"}}
    assert [problem.key for problem in mistakes(raw)] == ["webstack:environment.class"]


def test_the_error_reads_as_a_list_without_a_traceback() -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse({"web": {"count": 0}})
    assert str(raised.value) == (
        "the configuration has a mistake; nothing was changed\n\n"
        "  webstack:web.count = 0\n"
        "    rule:   at least 1\n"
        "    remedy: set 1 or more"
    )


@pytest.mark.parametrize("family", ["t4g", "m6g", "m7gd", "c6gn", "x2gd", "im4gn", "is4gen", "a1", "r8g", "g5g", "hpc7g", "c8gb"])
def test_every_graviton_family_is_refused(family: str) -> None:
    assert "arm64" in mistakes({"web": {"instanceType": f"{family}.large"}})[0].rule


@pytest.mark.parametrize(
    "family",
    [
        "t3",
        "t3a",
        "m5",
        "c5",
        "r5",
        "i3en",
        "p3dn",
        "d3",
        "h2",
        "x2idn",
        "m7i",
        "m7i-flex",
        "m6id",
        "c7a",
        "r6idn",
        "g4dn",
        "gr6",
        "p4de",
        "u-3tb1",
    ],
)
def test_no_other_family_is(family: str) -> None:
    assert mistakes({"web": {"instanceType": f"{family}.large"}}) == []


@pytest.mark.parametrize(
    "family",
    ["t1", "t2", "m1", "m2", "m3", "m4", "c1", "c3", "c4", "r3", "r4", "x1", "x1e", "d2", "h1", "i2", "i3", "f1", "g3", "g3s", "p2", "p3"],
)
def test_every_family_on_xen_is_refused_with_a_newer_one(family: str) -> None:
    (found,) = mistakes({"database": {"instanceType": f"{family}.large"}})
    assert "no NVMe name" in found.rule
    assert found.remedy.startswith("choose a newer family, such as ")


def test_bare_metal_of_such_a_family_is_nitro_and_apples_machines_are_not_for_linux() -> None:
    assert mistakes({"web": {"instanceType": "i3.metal"}}) == []
    for family in ("mac1", "mac2", "mac2-m2pro"):
        assert "boots Linux" in mistakes({"web": {"instanceType": f"{family}.metal"}})[0].rule


TAGS: list[tuple[dict[str, str], str]] = [
    ({f"t{number}": "x" for number in range(6)}, "at most 5 tags"),
    ({"aws:team": "x"}, "not beginning with aws:"),
    ({"AWS:team": "x"}, "not beginning with aws:"),
    ({"": "x"}, "of 1 to 128"),
    ({"k" * 129: "x"}, "of 1 to 128"),
    ({"a#b": "x"}, "of 1 to 128"),
    ({"team": "v" * 257}, "of up to 256"),
    ({"team": "a#b"}, "of up to 256"),
    ({"HOST": "x"}, "is one of its own"),
]


@pytest.mark.parametrize(("tags", "rule"), TAGS)
def test_tags_that_aws_refuses_or_the_stack_sets_itself_are_refused(tags: dict[str, str], rule: str) -> None:
    assert rule in mistakes({"environment": {"tags": tags}})[0].rule
    longest = {"k" * 128: "v" * 256, **{f"t{number}": "" for number in range(4)}}
    assert mistakes({"environment": {"tags": longest}}) == []


def test_a_time_has_a_zone_and_a_secret_is_named_by_its_name() -> None:
    (time,) = mistakes({"environment": {"class": "ephemeral", "expires": "2030-01-31T18:00:00"}})
    assert time.remedy == "write 2030-01-31T18:00:00Z if that is UTC"
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:shop-AbCdEf"
    (secret,) = mistakes({"loadBalancer": {"tls": {"mode": "secret", "secret": arn}}})
    assert "not its ARN" in secret.remedy


def test_every_key_has_a_description() -> None:
    assert [key for key, _, text in reference_rows() if not text] == []


def test_an_old_key_is_understood_under_its_name_of_today() -> None:
    given = {"database": {"patience": 9, "replica": True}, "loadBalancer": {"activity": "active-passive"}}
    settings = parse(given)
    assert (settings.database.semi_sync_timeout, settings.load_balancer.backend_mode) == (9, "active-passive")
    assert with_current_keys(given)[1] == [
        ("webstack:loadBalancer.activity", "webstack:loadBalancer.backendMode"),
        ("webstack:database.patience", "webstack:database.semiSyncTimeout"),
    ]
    assert given == {"database": {"patience": 9, "replica": True}, "loadBalancer": {"activity": "active-passive"}}


def test_an_old_key_beside_todays_is_a_mistake() -> None:
    _, problems = parse_with_problems({"database": {"patience": 9, "semiSyncTimeout": 5}})
    assert [problem.key for problem in problems] == ["webstack:database.patience"]


def test_every_old_key_is_one_of_today() -> None:
    known = {row[0] for row in reference_rows()}
    for section, keys in RENAMED_KEYS.items():
        for old, new in keys.items():
            assert f"webstack:{section}.{new}" in known
            assert f"webstack:{section}.{old}" not in known
