"""What hosts' servers are told, whole: a line that goes, comes or changes does so here too. The reasons stand in the files themselves.

Beside it, test_host_files.py says what several lines together are for.
"""

import runpy
from collections.abc import Mapping
from typing import Final

from gunicorn.config import Config

from userdata.render import ROOT, rendered_files

from .test_host_files import LOAD_BALANCER, WEB, haproxy, sections

LOG_FORMAT = (
    'log-format "%ci:%cp [%tr] %ft %b/%s %TR/%Tw/%Tc/%Tr/%Ta %ST %B %CC %CS %tsc %ac/%fc/%bc/%sc/%rc %sq/%bq %hr %hs %{+Q}r '
    '%ID %si %[var(txn.web_host)]"'
)
"""HAProxy's own for HTTP (HTTP_LOG_FORMAT, https://docs.haproxy.org/3.0/configuration.html#8.2.3), and three things more."""

HAPROXY = {
    "global": """
        user haproxy
        group haproxy
        chroot /var/lib/haproxy
        log stdout format short daemon info
        stats socket /run/haproxy/admin.sock mode 660 level admin
        maxconn 8000
        hard-stop-after 10m
        server-state-file /run/haproxy/servers.state
        ssl-default-bind-options prefer-client-ciphers ssl-min-ver TLSv1.2 no-tls-tickets
        ssl-default-bind-curves X25519:prime256v1:secp384r1
        ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256
        tune.ssl.default-dh-param 2048
        tune.bufsize 32768
        tune.h2.fe.glitches-threshold 1000
    """,
    "defaults": """
        mode http
        log global
        load-server-state-from-file global
        LOG_FORMAT
        option dontlog-normal
        option http-ignore-probes
        option idle-close-on-response
        option http-restrict-req-hdr-names delete
        timeout client-hs 5s
        timeout http-request 10s
        timeout http-keep-alive 60s
        timeout client 30s
        timeout client-fin 5s
        timeout connect 400ms
        timeout server 30s
        timeout queue 5s
        timeout check 3s
        option srvtcpka
        srvtcpka-idle 1s
        srvtcpka-intvl 1s
        srvtcpka-cnt 1
        retries 5
        option redispatch 1
    """,
    "resolvers vpc": """
        nameserver vpc 169.254.169.253:53
        accepted_payload_size 8192
        resolve_retries 3
        timeout resolve 1s
        timeout retry 1s
        hold valid 1s
        hold obsolete 2s
        hold nx 20d
        hold timeout 20d
        hold refused 20d
        hold other 20d
    """,
    "backend sources": """
        stick-table type ip size 200k expire 2m store conn_cur,conn_rate(10s),http_req_rate(10s)
    """,
    "backend requests": """
        stick-table type ip size 200k expire 2m store conn_cur,gpc0_rate(1m)
    """,
    "backend credentials": """
        stick-table type integer size 1 store gpc0_rate(1s)
    """,
    "frontend http": """
        bind :80 tcp-ut 30s
        maxconn 1000
        timeout http-request 5s
        tcp-request connection track-sc0 src table sources
        tcp-request connection reject if { sc0_conn_cur gt 500 } || { sc0_conn_rate gt 1000 }
        http-request redirect scheme https code 301
    """,
    "frontend https": """
        bind :443 ssl crt /run/webstack/tls.pem alpn h2,http/1.1 tcp-ut 30s
        maxconn 6500
        tcp-request connection track-sc0 src table sources
        tcp-request connection reject if { sc0_conn_cur gt 500 } || { sc0_conn_rate gt 1000 }
        http-request return status 429 hdr Retry-After 10 if { sc0_http_req_rate gt 2000 }
        http-request track-sc1 src table requests
        http-request return status 429 hdr Retry-After 10 if { sc1_conn_cur gt 300 }
        acl credentials path,url_dec,regsub(/+,/,g),rtrim(/) -m str PAGES
        acl reads method GET HEAD OPTIONS
        http-request sc-inc-gpc0(1) if credentials !reads
        http-request LATER hdr Retry-After 60 if credentials !reads { sc1_gpc0_rate gt 60 }
        http-request track-sc2 int(1) table credentials if credentials !reads
        http-request LATER hdr Retry-After 1 if credentials !reads { sc2_gpc0_rate ge 5 }
        http-request sc-inc-gpc0(2) if credentials !reads
        http-request del-header X-Forwarded- -m beg
        http-request del-header Forwarded
        http-request del-header X-Real-IP
        http-request del-header X-Request-ID
        http-request set-header X-Forwarded-For %[src]
        http-request set-header X-Forwarded-Proto https
        http-request set-header X-Forwarded-Host %[req.hdr(host)]
        unique-id-format %[uuid()]
        unique-id-header X-Request-ID
        http-after-response set-header X-Request-ID %[unique-id]
        http-response set-var(txn.web_host) res.hdr(X-Webstack-Host)
        http-response del-header X-Webstack-Host
        http-response set-var(txn.of_web) bool(true)
        http-after-response set-header Content-Security-Policy NOTHING unless { var(txn.of_web) -m found }
        http-after-response set-header X-Content-Type-Options nosniff unless { var(txn.of_web) -m found }
        http-after-response set-header Strict-Transport-Security "max-age=63072000"
        use_backend web-writes unless { method GET HEAD OPTIONS }
        default_backend web
    """,
    "backend web": """
        balance roundrobin
        retry-on conn-failure empty-response
        option httpchk
        http-check send meth GET uri /healthz ver HTTP/1.1 hdr Host 198.51.100.7 hdr X-Forwarded-Proto https
        http-check expect status 200
        default-server check inter 500ms fastinter 300ms downinter 1s fall 2 rise 2 resolvers vpc resolve-prefer ipv4 init-addr last,none
        default-server ssl verify required ca-file /run/webstack/web.pem verifyhost web.webstack.internal ssl-min-ver TLSv1.3
        server-template web 1-16 ipv4@web.dev.webstack.internal:8443 tcp-ut 1500ms
    """,
    "backend web-writes": """
        balance roundrobin
        retry-on conn-failure
        option http-server-close
        option httpchk
        http-check send meth GET uri /healthz ver HTTP/1.1 hdr Host 198.51.100.7 hdr X-Forwarded-Proto https
        http-check expect status 200
        default-server check inter 500ms fastinter 300ms downinter 1s fall 2 rise 2 resolvers vpc resolve-prefer ipv4 init-addr last,none
        default-server ssl verify required ca-file /run/webstack/web.pem verifyhost web.webstack.internal ssl-min-ver TLSv1.3
        server-template web 1-16 ipv4@web.dev.webstack.internal:8443 tcp-ut 1500ms
    """,
}

CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "DHE-RSA-AES128-GCM-SHA256",
    "DHE-RSA-AES256-GCM-SHA384",
    "DHE-RSA-CHACHA20-POLY1305",
)
"""Mozilla's intermediate list: https://ssl-config.mozilla.org/guidelines/5.7.json."""

KEEPALIVED = """
    global_defs {
    router_id lb-1
    vrrp_version 3
    enable_script_security
    script_user root
    }
    vrrp_script haproxy {
    script "/usr/bin/systemctl is-active --quiet haproxy.service"
    interval 1
    timeout 2
    fall 2
    rise 1
    }
    vrrp_instance webstack {
    state BACKUP
    nopreempt
    virtual_router_id 51
    priority 100
    advert_int 0.2
    unicast_src_ip 10.20.0.10
    unicast_peer {
    10.20.16.10
    }
    check_unicast_src
    virtual_ipaddress {
    192.0.2.1/32 dev lo
    }
    track_script {
    haproxy
    }
    notify /usr/local/sbin/webstack-vrrp-state
    notify_stop "/usr/local/sbin/webstack-vrrp-state INSTANCE webstack STOP"
    }
"""

DATABASE_PROXY = {
    "global": """
        log stdout format short daemon info
        stats socket /run/webstack-database-proxy/admin.sock mode 660 level admin
        maxconn 2000
        hard-stop-after 5s
    """,
    "defaults": """
        mode tcp
        log global
        option tcplog
        option dontlog-normal
        timeout connect 500ms
        timeout client 8h
        timeout server 8h
        timeout check 1s
        retries 2
        option redispatch 1
        default-server port 9200 inter 500ms fastinter 200ms downinter 500ms fall 2 rise 1 on-marked-down shutdown-sessions
    """,
    "backend answering": """
        option httpchk GET /status
        http-check expect status 200
        server db-1 10.20.128.10:3306 check
        server db-2 10.20.144.10:3306 check
    """,
}
"""But for where writes and reads go, which has a test of its own."""

GUNICORN: Final[Mapping[str, object]] = {
    "bind": "unix:/run/webstack-app/gunicorn.sock",
    "umask": 0o007,
    "worker_class": "gthread",
    "threads": 8,
    "timeout": 30,
    "graceful_timeout": 25,
    "worker_tmp_dir": "/dev/shm",  # noqa: S108
    "forwarded_allow_ips": "*",
    "control_socket_disable": True,
    "raw_env": [],
    "accesslog": None,
    "errorlog": "-",
}


PLACEHOLDERS = {
    "LOG_FORMAT": LOG_FORMAT,
    "PAGES": '"/login" "/sign-up" "/api/session" "/api/users" "/accounts/login" "/admin/login"',
    "LATER": r'return status 429 content-type text/plain string "Too many requests. Please try again later.\n"',
    "NOTHING": """"default-src 'none'; frame-ancestors 'none'\"""",
}
"""What stands in the texts above for something too long for them."""


def expand(text: str) -> str:
    """A text with what its marks stand for."""
    for mark, meant in PLACEHOLDERS.items():
        text = text.replace(mark, meant)
    return text


def lines(text: str) -> list[str]:
    """The lines of a text, without spaces around them, comments and empty ones."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def test_the_load_balancers_haproxy() -> None:
    wanted = {name: lines(expand(text)) for name, text in HAPROXY.items()}
    wanted["global"].insert(-4, f"ssl-default-bind-ciphers {':'.join(CIPHERS)}")
    assert haproxy() == wanted


def test_the_load_balancers_keepalived() -> None:
    assert lines(rendered_files(LOAD_BALANCER)["/etc/keepalived/keepalived.conf"]) == lines(KEEPALIVED)


def test_the_web_hosts_proxy_of_the_databases() -> None:
    told = sections(rendered_files(WEB)["/etc/webstack/database-proxy.cfg"])
    assert told.keys() == {*DATABASE_PROXY, "listen writes", "listen reads"}
    assert {name: told[name] for name in DATABASE_PROXY} == {name: lines(text) for name, text in DATABASE_PROXY.items()}


def test_the_apps_gunicorn() -> None:
    told = runpy.run_path(str(ROOT / "web/etc/webstack/gunicorn.conf.py"))
    assert {name: value for name, value in told.items() if name in Config().settings and not callable(value)} == GUNICORN
