"""What Gunicorn serves: `wsgi:app`. Its configuration comes from the environment (see shop/settings.py)."""

from shop import create_app
from shop.settings import Settings

app = create_app(Settings.from_environment())
