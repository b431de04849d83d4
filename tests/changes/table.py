"""Every change that an operator can make to a stack: what the engine does about it, in which order, and what a visitor sees.

One table, of which `docs/changes.md` is made. Unit tests hold that every setting has its row and that each case of a row touches
what the row says; tests/aws runs the rows on the real engine, and tests/lab on booted hosts under load.

A row is of the tests' own dev stack, and says names without the stack's.
"""

from typing import Final

from stack.sections import LimitsSettings
from tests.changes.model import Row, at_once, chain, edit, sets, told

ROLLED: Final = chain(
    ("create-replacement web-1", "create-replacement web-2"), "update web-name", ("delete-replaced web-1", "delete-replaced web-2")
)
"""The web tier: every new host serves before the name changes, and that before an old host leaves."""

RENAMED: Final = chain(
    ("create-replacement web-1", "create-replacement web-2"),
    ("update web-name", "update lb-1-configuration"),
    ("delete-replaced web-1", "delete-replaced web-2"),
)
"""Another name of the site: every new web host answers to it before a load balancer has the certificate for it."""

TOLD_IN_TURN: Final = chain("update db-2-configuration", "update db-2", "update db-1-configuration", "update db-1")
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

ROWS: Final[dict[str, Row]] = {
    "web-more": Row(
        what="`web.count`, more",
        keys=("web.count",),
        cases=(sets("web.count=3"),),
        chains=(chain("create web-3", "update web-name"),),
        visitor=f"{NOTHING}: a new host is named once it serves. Past 8, 32 and 128 hosts lb-1 reloads its list of servers besides",
        tried="test_changes.py::test_a_third_web_host_joins_and_leaves_and_nothing_fails",
    ),
    "web-fewer": Row(
        what="`web.count`, fewer",
        keys=("web.count",),
        cases=(sets("web.count=2"),),
        first=("web.count=3",),
        chains=(chain("update web-name", "delete web-3"),),
        visitor=f"{NOTHING}: a host is no longer named, drains, and then stops",
        tried="test_changes.py::test_a_third_web_host_joins_and_leaves_and_nothing_fails",
    ),
    "web-rolled": Row(
        what="the app, `userdata/web`, `web.instanceType`, `app`, `module`, `workers`, `drainSeconds`, `migrateTimeout`, `checkPath` or "
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
        cases=(
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
        visitor=f"{NOTHING}: every new host serves before an old one leaves and drains; for a while old and new pages are mixed",
        tried=ROLL_TEST,
    ),
    "reloaded": Row(
        what="a line of `haproxy.cfg`, `loadBalancer.balance`, `loadBalancer.limits`",
        keys=("loadBalancer.balance", *(f"loadBalancer.limits.{field.alias}" for field in LimitsSettings.model_fields.values())),
        cases=(
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
        visitor=f"{NOTHING}; HTTP/2 connections end in order (GOAWAY), and browsers open the next one",
        tried=RELOAD_TEST,
    ),
    "domain": Row(
        what="`loadBalancer.domain`",
        keys=("loadBalancer.domain",),
        cases=(sets("loadBalancer.domain=shop.example.com"),),
        chains=(RENAMED,),
        visitor=f"{NOTHING}: every new web host answers to the new name before lb-1 shows a certificate for it, and an old one leaves "
        "after that. HTTP/2 connections end in order (GOAWAY). From then on who asks for another name or the address gets "
        "421: put the old name into `aliases`. A release that does not answer to the new name ends `up` with all as it was",
        tried=ROLL_TEST,
    ),
    "aliases": Row(
        what="`loadBalancer.aliases`",
        keys=("loadBalancer.aliases",),
        cases=(sets("loadBalancer.aliases=[www.example.com]"),),
        first=("loadBalancer.domain=shop.example.com",),
        chains=(RELOADED,),
        visitor=f"{NOTHING}; HTTP/2 connections end in order (GOAWAY), and browsers open the next one",
        tried=RELOAD_TEST,
    ),
    "activity": Row(
        what="`loadBalancer.activity`",
        keys=("loadBalancer.activity",),
        cases=(sets("loadBalancer.activity=active-passive"),),
        chains=(RELOADED, *at_once("create web-standby-name", "update web-name")),
        visitor=f"{NOTHING}; HTTP/2 connections end in order (GOAWAY), and browsers open the next one",
        tried=RELOAD_TEST,
    ),
    "certificate": Row(
        what="`loadBalancer.tls.mode` and `secret`",
        keys=("loadBalancer.tls.mode", "loadBalancer.tls.secret"),
        cases=(sets("loadBalancer.tls={mode: secret, secret: site/pem}"),),
        chains=(chain("update load-balancer", "update lb-1-configuration"),),
        visitor="another certificate on new connections; no request fails. A secret without a PEM ends `up` with the reason, one that "
        "cannot be read is tried again until the wait is over; the old certificate is served meanwhile",
        tried=RELOAD_TEST,
    ),
    "renewal": Row(
        what="a new PEM in the same secret",
        visitor="no `up` is needed: lb-1 reads the secret every 45 seconds and reloads. There is no renewal by itself (ACME) yet",
        tried=RELOAD_TEST,
    ),
    "lb-type": Row(
        what="`loadBalancer.instanceType`",
        keys=("loadBalancer.instanceType",),
        cases=(sets("loadBalancer.instanceType=t3.small"),),
        chains=at_once("update lb-1"),
        visitor=AWAY,
        tried=REPLICA_TEST,
    ),
    "lb-rebooted": Row(
        what="`userdata/load_balancer` but for `haproxy.cfg`",
        cases=(
            edit("userdata/load_balancer/etc/keepalived/keepalived.conf.j2", "interval 1", "interval 2"),
            edit("userdata/load_balancer/usr/local/sbin/webstack-vrrp-state", "", "# changed\n"),
        ),
        chains=(REBOOTED,),
        visitor=AWAY,
        tried=REPLICA_TEST,
    ),
    "allowed": Row(
        what="`loadBalancer.allowedCidrs`",
        keys=("loadBalancer.allowedCidrs",),
        cases=(sets("loadBalancer.allowedCidrs=[192.0.2.0/24]"),),
        chains=(
            chain(
                ("create internet-to-load-balancer-443-192.0.2.0-24-in", "create internet-to-load-balancer-80-192.0.2.0-24-in"),
                ("delete internet-to-load-balancer-443-in", "delete internet-to-load-balancer-80-in"),
            ),
        ),
        visitor=f"who stays allowed: {NOTHING}, as new rules come before old ones go. Others get no new connection; open ones last on. "
        "Old and new networks together are 30 at most, or the change is refused with the way in steps",
        tried="test_security_groups.py::test_a_tracked_connection_outlives_its_rule_and_a_new_one_does_not_begin",
    ),
    "database-type": Row(
        what="`database.instanceType`",
        keys=("database.instanceType",),
        cases=(sets("database.instanceType=t3.medium"),),
        chains=(chain("update db-2", "update db-1"),),
        visitor=IN_TURN,
        tried=PETS_TEST,
    ),
    "database-told": Row(
        what="`database.bufferPool`, `patience`, `userdata/database`",
        keys=("database.bufferPool", "database.patience"),
        cases=(
            sets("database.bufferPool=200"),
            sets("database.patience=9"),
            sets("database.bufferPool=200", "database.instanceType=t3.medium"),
            edit("userdata/database/etc/mysql/mysql.conf.d/zz-webstack.cnf.j2", "max_connect_errors=1000000", "max_connect_errors=999999"),
            edit("userdata/database/usr/local/lib/webstack/database_role/gtid.py", "", "# changed\n"),
        ),
        chains=(TOLD_IN_TURN,),
        visitor=f"{IN_TURN}. With another type in the same `up` each host is stopped twice",
        tried=PETS_TEST,
    ),
    "volume": Row(
        what="`database.volumeSize`, more",
        keys=("database.volumeSize",),
        cases=(sets("database.volumeSize=20"),),
        chains=at_once("update db-1-data", "update db-2-data"),
        visitor=f"{NOTHING}: volumes grow under the running databases, and the file systems within a minute",
        tried="plain/test_volume_growth.py::test_a_larger_volume_gives_its_space_while_mysql_runs_and_no_failure_of_that_is_in_mysqls_way",
    ),
    "volume-less": Row(
        what="`database.volumeSize`, less",
        keys=("database.volumeSize",),
        cases=(sets("database.volumeSize=9"),),
        refused="has 10 GiB",
        visitor=f"{NOTHING}: refused, EBS cannot shrink a volume",
        tried=NOT_SEEN,
    ),
    "replica-goes": Row(
        what="`database.replica`, to false",
        keys=("database.replica",),
        cases=(sets("database.replica=false"),),
        chains=(
            chain(
                "update db-1-configuration",
                "update db-1",
                ("delete db-2", "delete db-2-configuration", *2 * ("delete db-2-data",), "delete db-2-name"),
            ),
            ROLLED,
            *at_once("update database"),
        ),
        visitor=f"{IN_TURN}; db-2 is there until then, and goes with its data. Web hosts are replaced besides",
        tried=REPLICA_TEST,
    ),
    "replica-comes": Row(
        what="`database.replica`, to true",
        keys=("database.replica",),
        cases=(sets("database.replica=true"),),
        first=("database.replica=false",),
        chains=(
            chain("create db-2-configuration", "create db-2", "update db-1-configuration", "update db-1"),
            ROLLED,
            *at_once("create db-2-data", "create db-2-data", "create db-2-name", "update database"),
        ),
        visitor=f"{IN_TURN}; db-2 has copied all data before that. Web hosts are replaced besides",
        tried=REPLICA_TEST,
    ),
    "schema": Row(
        what="`database.schema`",
        keys=("database.schema",),
        cases=(sets("database.schema=shop"),),
        chains=(TOLD_IN_TURN, ROLLED),
        visitor="an app on an empty schema: the old one's data stays in MySQL and is not moved. Set it before the first `up`",
        tried="nothing is promised; to move data is the operator's work",
    ),
    "common": Row(
        what="`userdata/common`, `patching.upgrades`, `hour` or `rebootDay`",
        keys=("patching.upgrades", "patching.hour", "patching.rebootDay"),
        cases=(
            edit("userdata/common/usr/local/lib/webstack/webstack_host/pauses.py", "", "# changed\n"),
            sets("patching.upgrades=false"),
            sets("patching.hour=4"),
            sets("patching.rebootDay=never"),
        ),
        chains=(
            TOLD_IN_TURN,
            chain(RENAMED[0], RENAMED[1], "update lb-1", RENAMED[2]),
        ),
        visitor=f"{AWAY}; orders fail while the primary restarts. Of no tier two hosts are away at once",
        tried="each of its parts is: the rows of the web tier, the databases and lb-1",
    ),
    "class": Row(
        what="`environment.class`",
        keys=("environment.class",),
        cases=(sets("environment.class=production"),),
        chains=at_once(
            *("update artifacts", "update zone"),
            *(f"update {name}" for name in ("app-migrator", "app-reader", "app-session-key", "app-writer", "web-tls")),
            *("update database-clone", "update database-replication"),
        ),
        visitor=f"{NOTHING}: what holds data or addresses is protected from now on, or no longer",
        tried=NOT_SEEN,
    ),
    "tags": Row(
        what="`environment.tags`, or `expires` of an ephemeral stack",
        keys=("environment.tags", "environment.expires"),
        cases=(sets("environment.tags={team: shop}"), sets("environment.class=ephemeral", "environment.expires='2030-01-31T18:00:00Z'")),
        all_tagged=True,
        visitor=f"{NOTHING}: all that bears tags is tagged anew, hosts while they run",
        tried=NOT_SEEN,
    ),
    "boundary": Row(
        what="`environment.permissionsBoundary`",
        keys=("environment.permissionsBoundary",),
        cases=(sets("environment.permissionsBoundary=arn:aws:iam::123456789012:policy/boundary"),),
        chains=at_once("update load-balancer", "update web", "update database", "update flow-logs"),
        visitor=f"{NOTHING}, where the boundary allows what hosts do",
        tried=NOT_SEEN,
    ),
    "nat": Row(
        what="`network.nat`, to `per-az`",
        keys=("network.nat",),
        cases=(sets("network.nat=per-az"),),
        chains=(chain("create nat-2-address", "create nat-2", "update private-2-internet"),),
        visitor=f"{NOTHING}: connections that hosts have open to the internet are cut once, which the app's own calls there may feel",
        tried="the lab's NAT gateways cut no open connection, so it cannot show it",
    ),
    "nat-single": Row(
        what="`network.nat`, to `single`",
        keys=("network.nat",),
        cases=(sets("network.nat=single"),),
        first=("network.nat=per-az",),
        chains=(chain("update private-2-internet", "delete nat-2", "delete nat-2-address"),),
        visitor=f"{NOTHING}, as above",
        tried="the lab's NAT gateways cut no open connection, so it cannot show it",
    ),
    "zones": Row(
        what="`network.zones`, more",
        keys=("network.zones",),
        cases=(sets("network.zones=3"),),
        chains=(
            chain("create public-3", ("create public-3-routes", "update load-balancer")),
            chain("create app-3", "create app-3-routes"),
            chain("create data-3", "create data-3-routes"),
            chain("create private-3-routes", ("update s3", "create private-3-internet")),
        ),
        visitor=f"{NOTHING}. Web hosts from web-3 on that belong elsewhere now are replaced, new before old",
        tried=NOT_SEEN,
    ),
    "zones-fewer": Row(
        what="`network.zones`, fewer",
        keys=("network.zones",),
        cases=(sets("network.zones=2"),),
        first=("network.zones=3",),
        chains=(
            chain("update s3", "delete private-3-routes"),
            chain("delete public-3-routes", "delete public-3"),
            *at_once("update load-balancer"),
            chain("delete app-3-routes", "delete app-3"),
            chain("delete data-3-routes", "delete data-3"),
            *at_once("delete private-3-internet"),
        ),
        visitor=f"{NOTHING}. Web hosts of the zone that goes are replaced first, new before old",
        tried=NOT_SEEN,
    ),
    "flow-logs": Row(
        what="`network.flowLogDays`",
        keys=("network.flowLogDays",),
        cases=(sets("network.flowLogDays=30"),),
        chains=at_once("update flow-logs"),
        visitor=NOTHING,
        tried=NOT_SEEN,
    ),
    "elsewhere": Row(
        what="`network.cidr` or `zoneNames` of a stack that exists",
        keys=("network.cidr", "network.zoneNames"),
        cases=(sets("network.cidr=10.40.0.0/16"), sets("network.zoneNames=[eu-central-1b, eu-central-1c]")),
        refused="that the stack is in",
        visitor=f"{NOTHING}: refused, as every host would have to be replaced; make another stack",
        tried=NOT_SEEN,
    ),
    "not-yet": Row(
        what="`loadBalancer.count` over 1",
        keys=("loadBalancer.count",),
        cases=(sets("loadBalancer.count=2"),),
        refused="two load balancers are not there yet",
        visitor=f"{NOTHING}: refused",
        tried=NOT_SEEN,
    ),
    "nothing": Row(
        what="`network.avoidCidrs`, `readiness.wait`, `timeout`, `site`; a new Debian image without a pin; another list of "
        "zones by AWS, also without one of the stack's",
        keys=("network.avoidCidrs", "readiness.wait", "readiness.timeout", "readiness.site"),
        cases=(sets("network.avoidCidrs=[10.99.0.0/16]"), sets("readiness.timeout=600"), sets("readiness.wait=false")),
        visitor=f"{NOTHING}: `up` changes nothing",
        tried=NOT_SEEN,
    ),
}
"""Every change, by a name of its own."""


def document() -> list[str]:
    """The rows of `docs/changes.md`."""
    return [
        "| what you change | what `up` does | what a visitor sees |",
        "|---|---|---|",
        *(f"| {row.what} | {told(row)} | {row.visitor} |" for row in ROWS.values()),
    ]
