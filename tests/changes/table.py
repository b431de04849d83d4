"""Every change that an operator can make to a stack: what the engine does about it, in which order, and what a visitor sees.

One table, of which `docs/changes.md` is made. Unit tests hold that every setting has its row and that each case of a row touches
what the row says; tests/aws runs the rows on the real engine, and tests/lab on booted hosts under load.

A row is of the tests' own dev stack, and says names without the stack's.
"""

from typing import Final

from stack.sections import LimitsSettings
from tests.changes.model import ChangeKind, chain, describe, edit, parallel, sets

ROLLED: Final = chain(
    ("create-replacement web-1", "create-replacement web-2"), "update web-name", ("delete-replaced web-1", "delete-replaced web-2")
)
"""The web tier: every new host serves before the name changes, and that before an old host leaves."""

SITE_RENAMED: Final = chain(
    ("create-replacement web-1", "create-replacement web-2"),
    ("update web-name", "update lb-1-configuration"),
    ("delete-replaced web-1", "delete-replaced web-2"),
)
"""Another name of the site: every new web host answers to it before a load balancer has the certificate for it."""

DATABASES_IN_TURN: Final = chain("update db-2-configuration", "update db-2", "update db-1-configuration", "update db-1")
"""The databases with other user data: nothing of db-1 before db-2 serves again."""

RELOADED: Final = chain("update lb-1-configuration")
REBOOTED: Final = chain("update lb-1-configuration", "update lb-1")

NOTHING: Final = "nothing"
NOT_SEEN: Final = "no host is touched, so there is nothing for visitors to see"
ROLL_TEST: Final = "test_changes.py::test_another_release_another_type_and_another_name_are_a_blue_green_replacement_of_the_web_tier"
PETS_TEST: Final = "test_changes.py::test_databases_are_changed_one_after_the_other_and_pages_go_on"
REPLICA_TEST: Final = "test_changes.py::test_the_replica_goes_and_a_new_one_comes_with_all_data_and_the_load_balancer_restarts"
RELOAD_TEST: Final = "test_changes.py::test_what_the_load_balancer_reloads_loses_no_request_and_what_it_refuses_changes_nothing"
AWAY: Final = "the site is away while lb-1 stops and starts, some fifteen seconds; requests to it fail"
IN_TURN: Final = "pages and reads go on; orders are answered with 503 while the primary restarts, and none is made twice or lost"

CHANGES: Final[dict[str, ChangeKind]] = {
    "web-more": ChangeKind(
        title="`web.count`, more",
        keys=("web.count",),
        examples=(sets("web.count=3"),),
        chains=(chain("create web-3", "update web-name"),),
        visitors=f"{NOTHING}: a new host is named once it serves. Past 8, 32 and 128 hosts lb-1 reloads its list of servers besides",
        tested_by="test_changes.py::test_a_third_web_host_joins_and_leaves_and_nothing_fails",
    ),
    "web-fewer": ChangeKind(
        title="`web.count`, fewer",
        keys=("web.count",),
        examples=(sets("web.count=2"),),
        setup=("web.count=3",),
        chains=(chain("update web-name", "delete web-3"),),
        visitors=f"{NOTHING}: a host is no longer named, drains, and then stops",
        tested_by="test_changes.py::test_a_third_web_host_joins_and_leaves_and_nothing_fails",
    ),
    "web-rolled": ChangeKind(
        title="the app, `userdata/web`, `web.instanceType`, `app`, `module`, `workers`, `drainSeconds`, `migrateTimeout`, `checkPath` or "
        "`readyPath`, the pin `environment.ami`",
        keys=(
            "web.instanceType",
            "web.app",
            "web.module",
            "web.workers",
            "web.drainSeconds",
            "web.migrateTimeout",
            "web.checkPath",
            "web.readyPath",
            "environment.ami",
        ),
        examples=(
            sets("web.instanceType=t3.medium"),
            edit("app/static/shop.css", "{", "{ /* the next release */"),
            edit("userdata/web/etc/nginx/nginx.conf.j2", "worker_connections 4096", "worker_connections 2048"),
            edit("userdata/web/etc/webstack/gunicorn.conf.py", "", "# changed\n"),
            sets("web.module=wsgi:application"),
            sets("web.workers=3"),
            sets("web.drainSeconds=30"),
            sets("web.migrateTimeout=100"),
            sets("web.checkPath=/health/"),
            sets("web.readyPath=/ready/"),
            sets("environment.ami=ami-0fedcba9876543210"),
        ),
        chains=(ROLLED,),
        visitors=f"{NOTHING}: every new host serves before an old one leaves and drains; for a while old and new pages are mixed",
        tested_by=ROLL_TEST,
    ),
    "reloaded": ChangeKind(
        title="a line of `haproxy.cfg`, `loadBalancer.balance`, `loadBalancer.limits`",
        keys=("loadBalancer.balance", *(f"loadBalancer.limits.{field.alias}" for field in LimitsSettings.model_fields.values())),
        examples=(
            sets(
                "loadBalancer.limits.connections=400",
                "loadBalancer.limits.connectionRate=400",
                "loadBalancer.limits.requestRate=800",
                "loadBalancer.limits.requestConcurrency=200",
                "loadBalancer.limits.credentialPaths=[/account/login]",
                "loadBalancer.limits.credentialRate=30",
                "loadBalancer.limits.totalCredentialRate=4",
                "loadBalancer.limits.exemptCidrs=[192.0.2.0/24]",
            ),
            sets("loadBalancer.balance=leastconn"),
            edit("userdata/load_balancer/etc/haproxy/haproxy.cfg.j2", "maxconn 8000", "maxconn 7000"),
        ),
        chains=(RELOADED,),
        visitors=f"{NOTHING}; HTTP/2 connections end in order (GOAWAY), and browsers open the next one",
        tested_by=RELOAD_TEST,
    ),
    "domain": ChangeKind(
        title="`loadBalancer.domain`",
        keys=("loadBalancer.domain",),
        examples=(sets("loadBalancer.domain=shop.example.com"),),
        chains=(SITE_RENAMED,),
        visitors=f"{NOTHING}: every new web host answers to the new name before lb-1 shows a certificate for it, and an old one leaves "
        "after that. HTTP/2 connections end in order (GOAWAY). From then on who asks for another name or the address gets "
        "421: put the old name into `aliases`. A release that does not answer to the new name ends `up` with all as it was",
        tested_by=ROLL_TEST,
    ),
    "aliases": ChangeKind(
        title="`loadBalancer.aliases`",
        keys=("loadBalancer.aliases",),
        examples=(sets("loadBalancer.aliases=[www.example.com]"),),
        setup=("loadBalancer.domain=shop.example.com",),
        chains=(RELOADED,),
        visitors=f"{NOTHING}; HTTP/2 connections end in order (GOAWAY), and browsers open the next one",
        tested_by=RELOAD_TEST,
    ),
    "backendMode": ChangeKind(
        title="`loadBalancer.backendMode`",
        keys=("loadBalancer.backendMode",),
        examples=(sets("loadBalancer.backendMode=active-passive"),),
        chains=(RELOADED, *parallel("create web-standby-name", "update web-name")),
        visitors=f"{NOTHING}; HTTP/2 connections end in order (GOAWAY), and browsers open the next one",
        tested_by=RELOAD_TEST,
    ),
    "certificate": ChangeKind(
        title="`loadBalancer.tls.mode` and `secret`",
        keys=("loadBalancer.tls.mode", "loadBalancer.tls.secret"),
        examples=(sets("loadBalancer.tls={mode: secret, secret: site/pem}"),),
        chains=(chain("update load-balancer", "update lb-1-configuration"),),
        visitors="another certificate on new connections; no request fails. A secret without a PEM ends `up` with the reason, one that "
        "cannot be read is tried again until the wait is over; the old certificate is served meanwhile",
        tested_by=RELOAD_TEST,
    ),
    "renewal": ChangeKind(
        title="a new PEM in the same secret",
        visitors="no `up` is needed: lb-1 reads the secret every 45 seconds and reloads. There is no renewal by itself (ACME) yet",
        tested_by=RELOAD_TEST,
    ),
    "lb-type": ChangeKind(
        title="`loadBalancer.instanceType`",
        keys=("loadBalancer.instanceType",),
        examples=(sets("loadBalancer.instanceType=t3.small"),),
        chains=parallel("update lb-1"),
        visitors=AWAY,
        tested_by=REPLICA_TEST,
    ),
    "lb-rebooted": ChangeKind(
        title="`userdata/load_balancer` but for `haproxy.cfg`",
        examples=(
            edit("userdata/load_balancer/etc/keepalived/keepalived.conf.j2", "interval 1", "interval 2"),
            edit("userdata/load_balancer/usr/local/sbin/webstack-vrrp-state", "", "# changed\n"),
        ),
        chains=(REBOOTED,),
        visitors=AWAY,
        tested_by=REPLICA_TEST,
    ),
    "allowed": ChangeKind(
        title="`loadBalancer.allowedCidrs`",
        keys=("loadBalancer.allowedCidrs",),
        examples=(sets("loadBalancer.allowedCidrs=[192.0.2.0/24]"),),
        chains=(
            chain(
                ("create internet-to-load-balancer-443-192.0.2.0-24-in", "create internet-to-load-balancer-80-192.0.2.0-24-in"),
                ("delete internet-to-load-balancer-443-in", "delete internet-to-load-balancer-80-in"),
            ),
        ),
        visitors=f"who stays allowed: {NOTHING}, as new rules come before old ones go. Others get no new connection; open ones last on. "
        "Old and new networks together are 30 at most, or the change is refused with the way in steps",
        tested_by="test_security_groups.py::test_a_tracked_connection_outlives_its_rule_and_a_new_one_does_not_begin",
    ),
    "database-type": ChangeKind(
        title="`database.instanceType`",
        keys=("database.instanceType",),
        examples=(sets("database.instanceType=t3.medium"),),
        chains=(chain("update db-2", "update db-1"),),
        visitors=IN_TURN,
        tested_by=PETS_TEST,
    ),
    "database-told": ChangeKind(
        title="`database.bufferPool`, `semiSyncTimeout`, `userdata/database`",
        keys=("database.bufferPool", "database.semiSyncTimeout"),
        examples=(
            sets("database.bufferPool=200"),
            sets("database.semiSyncTimeout=9"),
            sets("database.bufferPool=200", "database.instanceType=t3.medium"),
            edit("userdata/database/etc/mysql/mysql.conf.d/zz-webstack.cnf.j2", "max_connect_errors=1000000", "max_connect_errors=999999"),
            edit("userdata/database/usr/local/lib/webstack/database_role/gtid.py", "", "# changed\n"),
        ),
        chains=(DATABASES_IN_TURN,),
        visitors=f"{IN_TURN}. With another type in the same `up` each host is stopped twice",
        tested_by=PETS_TEST,
    ),
    "volume": ChangeKind(
        title="`database.volumeSize`, more",
        keys=("database.volumeSize",),
        examples=(sets("database.volumeSize=20"),),
        chains=parallel("update db-1-data", "update db-2-data"),
        visitors=f"{NOTHING}: volumes grow under the running databases, and the file systems within a minute",
        tested_by="plain/test_volume_growth.py::test_a_larger_volume_gives_its_space_while_mysql_runs_and_no_failure_of_that_is_in_mysqls_way",
    ),
    "volume-less": ChangeKind(
        title="`database.volumeSize`, less",
        keys=("database.volumeSize",),
        examples=(sets("database.volumeSize=9"),),
        expected_error="has 10 GiB",
        visitors=f"{NOTHING}: refused, EBS cannot shrink a volume",
        tested_by=NOT_SEEN,
    ),
    "replica-goes": ChangeKind(
        title="`database.replica`, to false",
        keys=("database.replica",),
        examples=(sets("database.replica=false"),),
        chains=(
            chain(
                "update db-1-configuration",
                "update db-1",
                ("delete db-2", "delete db-2-configuration", *2 * ("delete db-2-data",), "delete db-2-name"),
            ),
            ROLLED,
            *parallel("update database"),
        ),
        visitors=f"{IN_TURN}; db-2 is there until then, and goes with its data. Web hosts are replaced besides",
        tested_by=REPLICA_TEST,
    ),
    "replica-comes": ChangeKind(
        title="`database.replica`, to true",
        keys=("database.replica",),
        examples=(sets("database.replica=true"),),
        setup=("database.replica=false",),
        chains=(
            chain("create db-2-configuration", "create db-2", "update db-1-configuration", "update db-1"),
            ROLLED,
            *parallel("create db-2-data", "create db-2-data", "create db-2-name", "update database"),
        ),
        visitors=f"{IN_TURN}; db-2 has copied all data before that. Web hosts are replaced besides",
        tested_by=REPLICA_TEST,
    ),
    "schema": ChangeKind(
        title="`database.schema`",
        keys=("database.schema",),
        examples=(sets("database.schema=shop"),),
        chains=(DATABASES_IN_TURN, ROLLED),
        visitors="an app on an empty schema: the old one's data stays in MySQL and is not moved. Set it before the first `up`",
        tested_by="nothing is promised; to move data is the operator's work",
    ),
    "common": ChangeKind(
        title="`userdata/common`, `patching.upgrades`, `hour` or `rebootDay`",
        keys=("patching.upgrades", "patching.hour", "patching.rebootDay"),
        examples=(
            edit("userdata/common/usr/local/lib/webstack/webstack_host/backoff.py", "", "# changed\n"),
            sets("patching.upgrades=false"),
            sets("patching.hour=4"),
            sets("patching.rebootDay=never"),
        ),
        chains=(
            DATABASES_IN_TURN,
            chain(SITE_RENAMED[0], SITE_RENAMED[1], "update lb-1", SITE_RENAMED[2]),
        ),
        visitors=f"{AWAY}; orders fail while the primary restarts. Of no tier two hosts are away at once",
        tested_by="each of its parts is: the rows of the web tier, the databases and lb-1",
    ),
    "class": ChangeKind(
        title="`environment.class`",
        keys=("environment.class",),
        examples=(sets("environment.class=production"),),
        chains=parallel(
            *("update artifacts", "update zone"),
            *(f"update {name}" for name in ("app-migrator", "app-reader", "app-session-key", "app-writer", "web-tls")),
            *("update database-clone", "update database-replication"),
        ),
        visitors=f"{NOTHING}: what holds data or addresses is protected from now on, or no longer",
        tested_by=NOT_SEEN,
    ),
    "tags": ChangeKind(
        title="`environment.tags`, or `expires` of an ephemeral stack",
        keys=("environment.tags", "environment.expires"),
        examples=(sets("environment.tags={team: shop}"), sets("environment.class=ephemeral", "environment.expires='2030-01-31T18:00:00Z'")),
        retags_everything=True,
        visitors=f"{NOTHING}: all that bears tags is tagged anew, hosts while they run",
        tested_by=NOT_SEEN,
    ),
    "boundary": ChangeKind(
        title="`environment.permissionsBoundary`",
        keys=("environment.permissionsBoundary",),
        examples=(sets("environment.permissionsBoundary=arn:aws:iam::123456789012:policy/boundary"),),
        chains=parallel("update load-balancer", "update web", "update database", "update flow-logs"),
        visitors=f"{NOTHING}, where the boundary allows what hosts do",
        tested_by=NOT_SEEN,
    ),
    "nat": ChangeKind(
        title="`network.nat`, to `per-az`",
        keys=("network.nat",),
        examples=(sets("network.nat=per-az"),),
        chains=(chain("create nat-2-address", "create nat-2", "update private-2-internet"),),
        visitors=f"{NOTHING}: connections that hosts have open to the internet are cut once, which the app's own calls there may feel",
        tested_by="the lab's NAT gateways cut no open connection, so it cannot show it",
    ),
    "nat-single": ChangeKind(
        title="`network.nat`, to `single`",
        keys=("network.nat",),
        examples=(sets("network.nat=single"),),
        setup=("network.nat=per-az",),
        chains=(chain("update private-2-internet", "delete nat-2", "delete nat-2-address"),),
        visitors=f"{NOTHING}, as above",
        tested_by="the lab's NAT gateways cut no open connection, so it cannot show it",
    ),
    "zones": ChangeKind(
        title="`network.zones`, more",
        keys=("network.zones",),
        examples=(sets("network.zones=3"),),
        chains=(
            chain("create public-3", ("create public-3-routes", "update load-balancer")),
            chain("create app-3", "create app-3-routes"),
            chain("create data-3", "create data-3-routes"),
            chain("create private-3-routes", ("update s3", "create private-3-internet")),
        ),
        visitors=f"{NOTHING}. Web hosts from web-3 on that belong elsewhere now are replaced, new before old",
        tested_by=NOT_SEEN,
    ),
    "zones-fewer": ChangeKind(
        title="`network.zones`, fewer",
        keys=("network.zones",),
        examples=(sets("network.zones=2"),),
        setup=("network.zones=3",),
        chains=(
            chain("update s3", "delete private-3-routes"),
            chain("delete public-3-routes", "delete public-3"),
            *parallel("update load-balancer"),
            chain("delete app-3-routes", "delete app-3"),
            chain("delete data-3-routes", "delete data-3"),
            *parallel("delete private-3-internet"),
        ),
        visitors=f"{NOTHING}. Web hosts of the zone that goes are replaced first, new before old",
        tested_by=NOT_SEEN,
    ),
    "flow-logs": ChangeKind(
        title="`network.flowLogDays`",
        keys=("network.flowLogDays",),
        examples=(sets("network.flowLogDays=30"),),
        chains=parallel("update flow-logs"),
        visitors=NOTHING,
        tested_by=NOT_SEEN,
    ),
    "elsewhere": ChangeKind(
        title="`network.cidr` or `zoneNames` of a stack that exists",
        keys=("network.cidr", "network.zoneNames"),
        examples=(sets("network.cidr=10.40.0.0/16"), sets("network.zoneNames=[eu-central-1b, eu-central-1c]")),
        expected_error="that the stack is in",
        visitors=f"{NOTHING}: refused, as every host would have to be replaced; make another stack",
        tested_by=NOT_SEEN,
    ),
    "not-yet": ChangeKind(
        title="`loadBalancer.count` over 1",
        keys=("loadBalancer.count",),
        examples=(sets("loadBalancer.count=2"),),
        expected_error="two load balancers are not there yet",
        visitors=f"{NOTHING}: refused",
        tested_by=NOT_SEEN,
    ),
    "nothing": ChangeKind(
        title="`network.avoidCidrs`, `readiness.wait`, `timeout`, `site`; a new Debian image without a pin; another list of "
        "zones by AWS, also without one of the stack's",
        keys=("network.avoidCidrs", "readiness.wait", "readiness.timeout", "readiness.site"),
        examples=(sets("network.avoidCidrs=[10.99.0.0/16]"), sets("readiness.timeout=600"), sets("readiness.wait=false")),
        visitors=f"{NOTHING}: `up` changes nothing",
        tested_by=NOT_SEEN,
    ),
}
"""Every change, by a name of its own."""


def document() -> list[str]:
    """The rows of `docs/changes.md`."""
    return [
        "| what you change | what `up` does | what a visitor sees |",
        "|---|---|---|",
        *(f"| {row.title} | {describe(row)} | {row.visitors} |" for row in CHANGES.values()),
    ]
