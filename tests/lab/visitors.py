"""Who visits the shop while something is done to it, and what is to be said of their requests."""

from collections.abc import Generator
from contextlib import contextmanager

from tests.lab.harness import LabUnderTest, wait_until
from tests.lab.load import Kind, Load, Outcome, Shopper, report
from tests.lab.shop import any_product, buyer, reader, sign_up


def shopping_load(lab: LabUnderTest) -> Load:
    """Twelve clients of each way to connect: two thirds look, one third orders."""
    with lab.http_client() as client:
        token, product = sign_up(client), any_product(client)
    clients = [(kind, shopper) for kind in Kind for shopper in (reader(), reader("/"), reader("/"), buyer(token, product))]
    return Load(base_url=lab.url, clients=clients)


@contextmanager
def background_browsing(lab: LabUnderTest) -> Generator[None]:
    """People who look at pages meanwhile, as browsers do and with new connections: every page is there for them."""
    clients = [(kind, Shopper(path=path)) for kind in Kind for path in ("/", "/api/products")]
    with Load(lab.url, clients, think_seconds=(0.1, 0.4)) as load:
        wait_until(lambda: len(load.outcomes) >= len(clients), seconds=20, what="the others have begun")
        yield
        seen = len(load.outcomes)
        wait_until(lambda: len(load.outcomes) >= seen + 2 * len(clients), seconds=60, what="the others go on")
    assert all(outcome.succeeded for outcome in load.outcomes), report(load.outcomes)


def failed_requests(outcomes: list[Outcome], method: str) -> list[Outcome]:
    """Requests of a method that were answered by an error, or not at all."""
    return [outcome for outcome in outcomes if outcome.method == method and not outcome.succeeded]


def orders_in_database(lab: LabUnderTest) -> dict[str, int]:
    """How often each order is stored."""
    rows = lab.query(lab.primary(), "SELECT reference, COUNT(*) FROM app.orders GROUP BY reference")
    return {reference: int(count) for reference, count in rows}
