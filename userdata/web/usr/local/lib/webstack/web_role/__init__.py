"""A web host: Nginx, the app under Gunicorn, and the way to the databases."""
