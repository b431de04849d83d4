"""What Nginx on a web host is told: whole, and what its lines are for together. Their reasons stand in the file itself."""

import re

from userdata.render import ROOT, rendered_files

from .test_host_files import WEB, haproxy
from .test_rendered_configs import lines

NGINX = """
    user www-data;
    worker_processes auto;
    worker_rlimit_nofile 16384;
    pid /run/nginx.pid;
    error_log stderr warn;
    events {
    worker_connections 4096;
    }
    http {
    include /etc/nginx/mime.types;
    default_type application/octet-stream;
    sendfile on;
    tcp_nopush on;
    server_tokens off;
    log_not_found off;
    set_real_ip_from 10.20.0.10;
    set_real_ip_from 10.20.16.10;
    real_ip_header X-Forwarded-For;
    geo $realip_remote_addr $from_load_balancer {
    default no;
    10.20.0.10 yes;
    10.20.16.10 yes;
    }
    map "$from_load_balancer $http_x_forwarded_proto" $client_scheme {
    default http;
    "yes https" https;
    }
    map $uri $app_host {
    default $host;
    ~^/(healthz|readyz)$ shop.example;
    }
    map $uri $app_scheme {
    default $client_scheme;
    ~^/(healthz|readyz)$ https;
    }
    log_format webstack '$remote_addr "$logged" $status $body_bytes_sent $request_time $upstream_response_time $http_x_request_id';
    access_log /var/log/nginx/access.log webstack buffer=32k flush=1s;
    keepalive_timeout 75s;
    keepalive_requests 100000;
    client_header_timeout 10s;
    client_body_timeout 30s;
    send_timeout 30s;
    client_max_body_size 10m;
    large_client_header_buffers 4 16k;
    include /etc/nginx/conf.d/*.conf;
    add_header X-Webstack-Host web-1 always;
    upstream app {
    server unix:/run/webstack-app/gunicorn.sock fail_timeout=0;
    }
    server {
    listen 8443 ssl default_server backlog=1024;
    listen 127.0.0.1:8080 default_server;
    server_name _;
"""
"""Up to the locations, which have a table of their own."""


PROXY = """
    proxy_http_version 1.1;
    proxy_set_header Host $app_host;
    proxy_set_header Connection "";
    proxy_set_header Forwarded "";
    proxy_set_header X-Real-IP "";
    proxy_set_header X-Forwarded-For $remote_addr;
    proxy_set_header X-Forwarded-Proto $app_scheme;
    proxy_set_header X-Forwarded-Host $app_host;
    proxy_set_header X-Request-ID $http_x_request_id;
    proxy_connect_timeout 2s;
    proxy_read_timeout 28s;
    proxy_buffer_size 32k;
    proxy_buffers 16 16k;
    proxy_busy_buffers_size 48k;
    proxy_next_upstream off;
"""

TLS = """
    ssl_certificate /run/webstack/web.pem;
    ssl_certificate_key /run/webstack/web.key;
    ssl_protocols TLSv1.3;
"""

COMPRESSION = """
    gzip on;
    gzip_vary on;
    gzip_proxied any;
    gzip_comp_level 5;
    gzip_min_length 1000;
    gzip_types text/plain text/css text/javascript application/javascript application/json application/xml image/svg+xml;
"""


def test_the_web_hosts_nginx() -> None:
    told = lines(rendered_files(WEB)["/etc/nginx/nginx.conf"])
    assert told[: told.index("location = /healthz {")] == lines(NGINX)
    for name, text in (("compression", COMPRESSION), ("proxy", PROXY), ("tls", TLS)):
        assert lines((ROOT / f"web/etc/nginx/conf.d/{name}.conf").read_text()) == lines(text)


def test_nginx_believes_the_load_balancers_alone() -> None:
    text = rendered_files(WEB)["/etc/nginx/nginx.conf"]
    assert re.findall(r"set_real_ip_from (\S+);", text) == ["10.20.0.10", "10.20.16.10"]
    assert re.findall(r"(\S+) yes;", text) == ["10.20.0.10", "10.20.16.10"]
    told = (ROOT / "web/etc/nginx/conf.d/proxy.conf").read_text()
    assert "proxy_set_header X-Forwarded-For $remote_addr;" in told
    assert "proxy_add_x_forwarded_for" not in text + told


def locations() -> dict[str, list[str]]:
    """Nginx's locations: what each matches -> its lines, with those of blocks inside it."""
    found: dict[str, list[str]] = {}
    inside, depth = "", 0
    for line in (line.strip() for line in rendered_files(WEB)["/etc/nginx/nginx.conf"].splitlines()):
        if line.startswith("location "):
            inside, depth = line.removeprefix("location ").removesuffix(" {"), 1
            found[inside] = []
        elif depth and line and not line.startswith("#"):
            depth += line.count("{") - line.count("}")
            if depth:
                found[inside].append(line)
    return found


def test_every_location_of_nginx_serves_what_it_is_for_and_whom_it_is_for() -> None:
    """Of the rules that allow and deny the first that matches decides: https://nginx.org/en/docs/http/ngx_http_access_module.html."""
    assert locations() == {
        "= /healthz": [
            "access_log off;",
            "if (-f /run/webstack/draining) {",
            "return 503;",
            "}",
            "proxy_read_timeout 2s;",
            "proxy_pass http://app/up/;",
        ],
        "= /readyz": ["access_log off;", "allow 127.0.0.1;", "deny all;", "proxy_pass http://app/up/deep;"],
        "/static/": [
            "root /opt/app/current/app;",
            "if_modified_since off;",
            'add_header Last-Modified "";',
            'add_header Cache-Control "public, max-age=300";',
            "add_header X-Content-Type-Options nosniff always;",
            "add_header X-Webstack-Host web-1 always;",
        ],
        "/": ["proxy_pass http://app;"],
    }


def test_every_wait_of_nginx_ends_before_the_load_balancer_gives_up() -> None:
    text = rendered_files(WEB)["/etc/nginx/nginx.conf"] + (ROOT / "web/etc/nginx/conf.d/proxy.conf").read_text()
    waits = dict(re.findall(r"^(?:  )?(\w+_timeout) (\d+)s;", text, re.MULTILINE))
    assert waits == {
        "keepalive_timeout": "75",
        "client_header_timeout": "10",
        "client_body_timeout": "30",
        "send_timeout": "30",
        "proxy_connect_timeout": "2",
        "proxy_read_timeout": "28",
    }
    balancer = dict(line.removeprefix("timeout ").split() for line in haproxy()["defaults"] if line.startswith("timeout "))
    assert int(waits["proxy_read_timeout"]) < int(balancer["server"].removesuffix("s")), "the host that is slow says so itself"
    assert int(waits["keepalive_timeout"]) > int(balancer["http-keep-alive"].removesuffix("s")), "no request meets a connection that closes"


def test_wherever_nginx_adds_headers_the_load_balancer_learns_which_host_it_was_and_keeps_it_from_the_visitor() -> None:
    """A location with an `add_header` of its own inherits none: https://nginx.org/en/docs/http/ngx_http_headers_module.html."""
    told = "add_header X-Webstack-Host web-1 always;"
    assert told in lines(rendered_files(WEB)["/etc/nginx/nginx.conf"])
    for name, inside in locations().items():
        assert told in inside or not any(line.startswith("add_header") for line in inside), name
    assert "http-response del-header X-Webstack-Host" in haproxy()["frontend https"]
