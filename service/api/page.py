"""The web page: the files of `service/web`, under headers that let it load nothing from elsewhere.

Knows no model: the page asks the native API like any other caller.
"""

from pathlib import Path

from fastapi import APIRouter, HTTPException
from starlette.responses import FileResponse

WEB = Path(__file__).parent.parent / "web"
INDEX = "index.html"
DOCS = "docs.html"
DOCS_PARTS = {
    "docs.css": "text/css",
    "docs.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
MEDIA_TYPES = {
    "api.js": "text/javascript",
    "app.js": "text/javascript",
    "attention.js": "text/javascript",
    "icon.svg": "image/svg+xml",
    "files.js": "text/javascript",
    "key.js": "text/javascript",
    "stream.js": "text/javascript",
    "style.css": "text/css",
}
"""The files that exist. A name from outside is looked up here and never becomes a path."""
CONTENT_SECURITY_POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
)
HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

router = APIRouter(include_in_schema=False)
docs_router = APIRouter(include_in_schema=False)
"""Apart, because the API is described also where there is no page."""


@router.get("/")
def page() -> FileResponse:
    """The page itself."""
    return FileResponse(WEB / INDEX, media_type="text/html", headers=HEADERS)


@docs_router.get("/docs")
def docs() -> FileResponse:
    """The description of the API, for people; it is made of /openapi.json in the browser."""
    return FileResponse(WEB / DOCS, media_type="text/html", headers=HEADERS)


@docs_router.get("/docs/{name}")
def docs_part(name: str) -> FileResponse:
    """The script or the style of the description."""
    if name not in DOCS_PARTS:
        raise HTTPException(404)
    return FileResponse(WEB / name, media_type=DOCS_PARTS[name], headers=HEADERS)


@router.get("/web/{name}")
def part(name: str) -> FileResponse:
    """A script, the style or the icon."""
    if name not in MEDIA_TYPES:
        raise HTTPException(404)
    return FileResponse(WEB / name, media_type=MEDIA_TYPES[name], headers=HEADERS)
