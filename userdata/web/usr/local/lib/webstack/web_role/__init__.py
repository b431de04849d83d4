"""A web host: Nginx, the app under Gunicorn, and the proxy to the databases."""
