"""Whether a web page, or the target of a redirect, asks the user to sign in.

The elements of the page decide, not its text: a password field, a form that is sent to a sign-in address, or a link
that starts a sign-in.  A page that only mentions logins does not count.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

_SEGMENTS = frozenset(
    {"login", "log-in", "log_in", "signin", "sign-in", "sign_in", "sso", "saml", "saml2", "oauth", "oauth2", "openid",
     "openid-connect", "oidc", "auth", "authorize", "authenticate", "authentication"}
)  # fmt: skip
"""Path segments of sign-in addresses, compared as a whole, so that ``/authors`` does not match."""

_HOSTS = frozenset({"login", "signin", "sso", "auth", "accounts", "idp", "identity"})
"""First labels of the names of hosts that sign users in."""

_REFRESH = re.compile(r"^\s*\d*\s*[;,]?\s*url\s*=\s*['\"]?(?P<url>[^'\"]+)", re.IGNORECASE)


def asks_to_sign_in(page: str) -> bool:
    """Whether an HTML page is a login page."""
    found = _Page()
    found.feed(page)
    found.close()
    return found.asks


def leads_to_sign_in(url: str) -> bool:
    """Whether an address is a sign-in address, judged by its path, host and query."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        # OpenID Connect sends a client_id, SAML a SAMLRequest.
        query = {name.lower() for name in parse_qs(parts.query, keep_blank_values=True)}
    except ValueError:
        return False
    asks = "samlrequest" in query or ("client_id" in query and query & {"redirect_uri", "response_type", "state"})
    path = {part.lower().partition(";")[0].rsplit(".", 1)[0] for part in parts.path.split("/") if part}
    return bool(asks or path & _SEGMENTS or host.partition(".")[0] in _HOSTS)


class _Page(HTMLParser):
    """Examines the tags of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.asks = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Examine one tag; scripts and comments contain none."""
        given = {name: value or "" for name, value in attrs}
        if tag == "input":
            hidden = given.get("name", "").lower() in {"samlrequest", "samlresponse"}
            self.asks |= given.get("type", "").strip().lower() == "password" or hidden
        elif tag == "form":
            self.asks |= leads_to_sign_in(given.get("action", ""))
        elif tag == "a":
            # Any page may link to a login, but a link with the request of an OpenID client starts one.
            address = given.get("href", "")
            self.asks |= "?" in address and leads_to_sign_in("?" + address.partition("?")[2])
        elif tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            match = _REFRESH.match(given.get("content", ""))
            self.asks |= match is not None and leads_to_sign_in(match["url"])
