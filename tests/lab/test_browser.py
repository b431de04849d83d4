"""The shop as a person sees it: a browser signs up, orders and finds the order; screenshots are kept under build/lab/screenshots."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.lab.conftest import ARTEFACTS
from tests.lab.harness import LabUnderTest
from tests.lab.shop import PASSWORD

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
PATIENCE = 20


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    options = Options()
    options.binary_location = str(CHROMIUM)
    options.accept_insecure_certs = True  # the lab's certificate is its own
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-dev-shm-usage", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1200,1000",
    ):  # fmt: skip
        options.add_argument(argument)
    assert CHROMIUM.exists() and DRIVER.exists(), "chromium and chromium-driver are needed: `make test` installs them"  # noqa: PT018
    driver = webdriver.Chrome(options=options, service=Service(executable_path=str(DRIVER)))
    yield driver
    driver.quit()


def test_a_visitor_signs_up_orders_and_sees_the_order(lab: LabUnderTest, browser: webdriver.Chrome) -> None:
    pictures = ARTEFACTS / "screenshots"
    pictures.mkdir(parents=True, exist_ok=True)
    wait = WebDriverWait(browser, PATIENCE)
    browser.get(lab.url)
    browser.save_screenshot(str(pictures / "1-products.png"))
    footer = browser.find_element(By.TAG_NAME, "footer").text
    assert "web-" in footer
    assert "db-" in footer
    browser.get(f"{lab.url}/sign-up")
    for name, value in {"name": "Grace", "email": f"{uuid.uuid4().hex}@example.org", "password": PASSWORD}.items():
        browser.find_element(By.NAME, name).send_keys(value)
    browser.save_screenshot(str(pictures / "2-sign-up.png"))
    browser.find_element(By.CSS_SELECTOR, "main form button").click()
    wait.until(lambda page: "Grace" in page.find_element(By.TAG_NAME, "body").text)
    browser.get(lab.url)
    browser.find_element(By.CSS_SELECTOR, "main a[href*='/products/']").click()
    browser.save_screenshot(str(pictures / "3-product.png"))
    product = browser.find_element(By.TAG_NAME, "h1").text
    browser.find_element(By.CSS_SELECTOR, "main form button").click()
    wait.until(lambda page: "/orders" in page.current_url)
    browser.save_screenshot(str(pictures / "4-orders.png"))
    assert product in browser.find_element(By.TAG_NAME, "main").text
    complaints = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
    assert complaints == [], "the pages load without an error of their content policy"
