"""The web page's files and headers, without a browser."""

import re

import httpx
import pytest

from service.api.page import DOCS, DOCS_PARTS, INDEX, MEDIA_TYPES, WEB
from service.app import Loaded, create_app
from service.settings import Settings


async def test_the_page_and_its_parts_are_served(client):
    """Whatever the page and its scripts refer to exists, and has the right type."""
    index = await client.get("/")
    assert index.status_code == 200
    assert index.headers["content-type"] == "text/html; charset=utf-8"
    named = re.findall(r'(?:src|href)="(web/[^"]+)"', index.text)
    assert len(named) == 3
    named += [f"web/{name}" for name in MEDIA_TYPES]
    for name in named:
        part = await client.get(f"/{name}")
        assert part.status_code == 200, name
        assert part.headers["content-type"].startswith(MEDIA_TYPES[name.removeprefix("web/")])


@pytest.mark.parametrize("path", ["/", "/web/app.js", "/web/style.css"])
async def test_the_page_may_load_nothing_from_elsewhere(client, path):
    """Fails when the policy allows more than its own files; nobody may frame or sniff it."""
    headers = (await client.get(path)).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert "frame-ancestors 'none'" in policy
    assert not re.search(r"unsafe|https?:|\*", policy)
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("name", ["index.html", "__init__.py", "..%2fsettings.py", "%2e%2e/app.py"])
async def test_no_other_file_can_be_read(client, name):
    """Names are looked up in a list."""
    answer = await client.get(f"/web/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


async def test_the_page_can_be_switched_off():
    """Then there is neither the page nor a part of it."""
    app = create_app(Settings(page=False), lambda *_: Loaded((), ()))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://test"
    ) as client:
        for path in ("/", "/web/app.js"):
            assert (await client.get(path)).status_code == 404


def test_nothing_in_the_page_is_inline_or_remote():
    """No style or handler attributes, no inline scripts, no addresses of other hosts."""
    index = (WEB / "index.html").read_text("utf-8")
    assert not re.search(r"\s(style|on\w+)=", index)
    assert not re.search(r"<script[^>]*>[^<]", index)
    for path in WEB.iterdir():
        text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?://|innerHTML|outerHTML|insertAdjacent", text), path


def test_every_file_of_the_page_is_listed():
    """A new file is served, or is not there."""
    assert {path.name for path in WEB.iterdir()} == {INDEX, DOCS, *MEDIA_TYPES, *DOCS_PARTS}


async def test_the_description_of_the_api_loads_nothing_from_elsewhere(client):
    """Fails with FastAPI's own page, which has scripts from a network of others."""
    docs = await client.get("/docs")
    assert docs.status_code == 200
    assert docs.headers["content-security-policy"].startswith("default-src 'none'")
    assert "//" not in docs.text
    assert not re.search(r"\s(style|on\w+)=", docs.text)
    for name in re.findall(r'"(docs/[^"]+)"', docs.text):
        part = await client.get(f"/{name}")
        assert part.status_code == 200, name
        assert "innerHTML" not in part.text
    assert (await client.get("/docs/index.html")).status_code == 404
    assert (await client.get("/redoc")).status_code == 404


async def test_other_sites_may_call_only_if_a_setting_says_so():
    """Fails when every site's scripts may use what the browser of a visitor can reach."""
    headers = {"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
    for origins, allowed in (((), None), (("https://example.org",), "https://example.org")):
        app = create_app(Settings(cors_origins=origins), lambda *_: Loaded((), ()))
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://test"
        ) as client:
            asked = await client.options("/v1/translate", headers=headers)
            answer = await client.get("/livez", headers=headers)
        for each in (asked, answer):
            assert each.headers.get("access-control-allow-origin") == allowed
        assert answer.headers["x-content-type-options"] == "nosniff"
