"""Whether a web page, or the address that an answer sends on to, asks a person to sign in.

What a page is made of decides, not the words in it: a field for a password, a form that is sent to a sign-in, or a link
that begins one.  A page that only mentions logins is none.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlsplit

_SEGMENTS = frozenset(
    {"login", "log-in", "log_in", "signin", "sign-in", "sign_in", "sso", "saml", "saml2", "oauth", "oauth2", "openid",
     "openid-connect", "oidc", "auth", "authorize", "authenticate", "authentication"}
)  # fmt: skip
"""Parts of a path that lead to a sign-in; the whole part, so that ``/authors`` does not."""

_HOSTS = frozenset({"login", "signin", "sso", "auth", "accounts", "idp", "identity"})
"""First parts of the names of hosts that sign people in."""

_REFRESH = re.compile(r"^\s*\d*\s*[;,]?\s*url\s*=\s*['\"]?(?P<url>[^'\"]+)", re.IGNORECASE)


def asks_to_sign_in(page: str) -> bool:
    """Whether an HTML page is a login page."""
    found = _Page()
    found.feed(page)
    found.close()
    return found.asks


def leads_to_sign_in(url: str) -> bool:
    """Whether an address is that of a sign-in: by its path, its host, or what it hands on."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        # OpenID Connect asks with a client_id, SAML with a SAMLRequest.
        query = {name.lower() for name in parse_qs(parts.query, keep_blank_values=True)}
    except ValueError:
        return False
    asks = "samlrequest" in query or ("client_id" in query and query & {"redirect_uri", "response_type", "state"})
    path = {part.lower().partition(";")[0].rsplit(".", 1)[0] for part in parts.path.split("/") if part}
    return bool(asks or path & _SEGMENTS or host.partition(".")[0] in _HOSTS)


class _Page(HTMLParser):
    """Looks at the tags of a page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.asks = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """One tag; what is in scripts and comments is none."""
        given = {name: value or "" for name, value in attrs}
        if tag == "input":
            hidden = given.get("name", "").lower() in {"samlrequest", "samlresponse"}
            self.asks |= given.get("type", "").strip().lower() == "password" or hidden
        elif tag == "form":
            self.asks |= leads_to_sign_in(given.get("action", ""))
        elif tag == "a":
            # Every page may link to a login; an address with the request of an OpenID client has no other use.
            address = given.get("href", "")
            self.asks |= "?" in address and leads_to_sign_in("?" + address.partition("?")[2])
        elif tag == "meta" and given.get("http-equiv", "").lower() == "refresh":
            match = _REFRESH.match(given.get("content", ""))
            self.asks |= match is not None and leads_to_sign_in(match["url"])
