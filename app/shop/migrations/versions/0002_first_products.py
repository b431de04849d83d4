"""The pottery's first eight products."""

from alembic import op
from sqlalchemy import ColumnClause, Integer, String, column, select, table

revision = "0002"
down_revision = "0001"

PRODUCTS: list[dict[str, int | str]] = [
    {
        "id": 1,
        "slug": "morning-mug",
        "name": "Morning mug",
        "price_cents": 2400,
        "summary": "Holds 300 ml and a whole hour of quiet.",
        "description": (
            "Thrown in one piece, with a handle wide enough for cold fingers. Speckled stoneware outside, a smooth white glaze inside."
        ),
    },
    {
        "id": 2,
        "slug": "round-teapot",
        "name": "Round teapot",
        "price_cents": 6800,
        "summary": "Pours without a drip, for two or for one and a book.",
        "description": (
            "The spout is pulled and cut by hand, the lid stays on to the last drop. 900 ml, with a strainer in the wall of the pot."
        ),
    },
    {
        "id": 3,
        "slug": "noodle-bowl",
        "name": "Noodle bowl",
        "price_cents": 3200,
        "summary": "Deep, wide-rimmed, steady in the hand.",
        "description": (
            "A turned foot keeps the heat away from your fingers. Fired at 1260 °C, so that dishwasher and oven do it no harm."
        ),
    },
    {
        "id": 4,
        "slug": "dinner-plate",
        "name": "Dinner plate",
        "price_cents": 2900,
        "summary": "27 cm with a low rim that keeps the sauce in.",
        "description": (
            "Glazed in moss green over dark clay; where the glaze runs thin on the rim, the clay shows through. No two are the same."
        ),
    },
    {
        "id": 5,
        "slug": "tall-vase",
        "name": "Tall vase",
        "price_cents": 5400,
        "summary": "For one long branch, or three.",
        "description": (
            "Coiled, then thrown: 34 cm high with a narrow neck that holds a stem where you put it. Watertight, felt under the foot."
        ),
    },
    {
        "id": 6,
        "slug": "milk-jug",
        "name": "Milk jug",
        "price_cents": 2200,
        "summary": "A small jug with a sharp lip.",
        "description": ("250 ml, made as the teapot's companion. Also good with a bunch of whatever grows beside the path."),
    },
    {
        "id": 7,
        "slug": "herb-planter",
        "name": "Herb planter",
        "price_cents": 3600,
        "summary": "A pot that drains, and a saucer that catches.",
        "description": ("Unglazed terracotta lets roots breathe; the saucer is glazed so that the window sill stays dry. 14 cm across."),
    },
    {
        "id": 8,
        "slug": "candle-dish",
        "name": "Candle dish",
        "price_cents": 1800,
        "summary": "A little light with a handle.",
        "description": ("Carry it down the corridor when the power is out, or up to bed when it is not. Takes candles of 22 mm."),
    },
]


def upgrade() -> None:
    """Insert those that are not there."""
    identity: ColumnClause[int] = column("id", Integer)
    texts = [column(name, String) for name in ("slug", "name", "summary", "description")]
    products = table("products", identity, *texts, column("price_cents", Integer))
    connection = op.get_bind()
    present = set(connection.scalars(select(identity).select_from(products)))
    for product in PRODUCTS:
        if product["id"] not in present:
            connection.execute(products.insert(), product)
