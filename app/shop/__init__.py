"""A small web shop: the sample of what one runs on this infrastructure."""

from flask import Flask
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from . import api, health, logs, pages, web
from .database import Database
from .settings import Settings

csrf = CSRFProtect()


def create_app(settings: Settings, database: Database | None = None) -> Flask:
    """The WSGI app. `database` replaces the databases of `settings` (in tests)."""
    app = Flask(__name__, static_folder="../static", static_url_path="/static")
    app.config.update(
        SECRET_KEY=settings.session_key,
        SECRET_KEY_FALLBACKS=list(settings.session_key_fallbacks),
        WTF_CSRF_SECRET_KEY=settings.session_keys,
        # The prefix makes browsers refuse the cookie unless it is Secure, for this very host and for every path.
        SESSION_COOKIE_NAME="__Host-shop",
        SESSION_COOKIE_SECURE=True,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        PERMANENT_SESSION_LIFETIME=7 * 24 * 3600,
        # Only a changed session is sent: a slow answer with an older one would take away what its customer has written meanwhile.
        SESSION_REFRESH_EACH_REQUEST=False,
        MAX_CONTENT_LENGTH=64 * 1024,
        # Nothing that another host of the domain does can plant a `__Host-` cookie, so the Referer header tells nothing more.
        WTF_CSRF_SSL_STRICT=False,
        WTF_CSRF_TIME_LIMIT=None,
    )
    logs.register(app)
    app.extensions["shop"] = web.AppState(settings, database or Database.connect(settings))
    csrf.init_app(app)
    # The API knows its users by a token that no browser sends by itself: it needs no protection from forged forms.
    csrf.exempt(api.blueprint)
    web.register(app)
    for blueprint in (pages.blueprint, api.blueprint, health.blueprint):
        app.register_blueprint(blueprint)
    # One proxy (Nginx) is believed for the client's address and scheme.
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)
    return app
