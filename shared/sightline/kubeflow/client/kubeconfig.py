"""A kubeconfig: where a cluster is and who asks there, as kubectl reads it."""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sightline.config.settings import read_yaml
from sightline.errors import ConfigurationError
from sightline.kubeflow.client.credentials import ExecCredentials, FileCredentials, FixedHeaders
from sightline.kubeflow.client.http import Headers, no_headers

Section = dict[str, Any]


@dataclass(frozen=True)
class ClusterAccess:
    """How a cluster is reached.

    Attributes:
        url: Address of its API server.
        namespace: The context's own, or empty.
        headers: Who asks.
        tls: Whom to trust, and the certificate to show.
        source: Where this stands, for messages.
    """

    url: str
    namespace: str
    headers: Headers = field(repr=False)
    tls: ssl.SSLContext | None = field(repr=False)
    source: str


def read_kubeconfig(paths: str, context: str = "") -> ClusterAccess | None:
    """The cluster that a context names.

    Args:
        paths: Files with colons between them; empty: ``~/.kube/config``.
        context: Empty: the file's current one.

    Returns:
        None where there is no file.

    Raises:
        ConfigurationError: A file cannot be used, or names what is not there.
    """
    files = [Path(path).expanduser() for path in (paths or "~/.kube/config").split(os.pathsep) if path]
    there = [path for path in files if path.exists()]
    if not there:
        if paths:
            raise ConfigurationError(f"there is no kubeconfig {paths}; set KUBECONFIG or --kubeconfig to yours")
        return None
    # The first file that sets a name wins, as with kubectl.
    documents = [(path, read_yaml(path)) for path in there]
    current = context or next((text for _, one in documents if (text := str(one.get("current-context") or ""))), "")
    _, chosen = _named(documents, "contexts", "context", current)
    folder, cluster = _named(documents, "clusters", "cluster", str(chosen.get("cluster")))
    user_folder, user = _named(documents, "users", "user", str(chosen.get("user")))
    tls = _tls(folder, cluster, user_folder, user)
    return ClusterAccess(
        url=str(cluster.get("server", "")).rstrip("/"),
        namespace=str(chosen.get("namespace") or ""),
        headers=_headers(user_folder, user),
        tls=tls,
        source=f"context {current} of {there[0]}",
    )


def _named(documents: list[tuple[Path, Section]], section: str, kind: str, name: str) -> tuple[Path, Section]:
    names: list[str] = []
    for path, document in documents:
        for entry in document.get(section) or []:
            if entry.get("name") == name:
                return path.parent, entry.get(kind) or {}
            names.append(str(entry.get("name")))
    there = ", ".join(names) or "none"
    raise ConfigurationError(f"the kubeconfig {documents[0][0]} has no {kind} {name!r}; there are: {there}")


def _headers(folder: Path, user: Section) -> Headers:
    if user.get("tokenFile"):
        return FileCredentials(token_file=str(folder / str(user["tokenFile"])))
    if user.get("token"):
        return FixedHeaders({"Authorization": f"Bearer {user['token']}"})
    if user.get("username"):
        pair = f"{user['username']}:{user.get('password', '')}".encode()
        return FixedHeaders({"Authorization": f"Basic {base64.b64encode(pair).decode()}"})
    if "exec" in user:
        asked = user["exec"]
        environment = {str(entry["name"]): str(entry["value"]) for entry in asked.get("env") or []}
        command = [str(asked["command"]), *(str(argument) for argument in asked.get("args") or [])]
        return ExecCredentials(command, environment, str(asked.get("apiVersion", "client.authentication.k8s.io/v1")))
    if "auth-provider" in user:
        raise ConfigurationError(
            f"the kubeconfig's auth-provider {user['auth-provider'].get('name')!r} is of a kind that kubectl gave up "
            "in 1.26; write the kubeconfig again (for GKE: gcloud container clusters get-credentials)"
        )
    return no_headers


def _tls(cluster_folder: Path, cluster: Section, user_folder: Path, user: Section) -> ssl.SSLContext:
    authority = _content(cluster_folder, cluster, "certificate-authority")
    context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    certificate, key = _content(user_folder, user, "client-certificate"), _content(user_folder, user, "client-key")
    if certificate and key:
        # OpenSSL reads them from a file only; it is ours alone and gone in a moment.
        with tempfile.TemporaryDirectory() as folder:
            pair = Path(folder) / "pair.pem"
            pair.touch(mode=0o600)
            pair.write_bytes(certificate.rstrip() + b"\n" + key)
            context.load_cert_chain(pair)
    return context


def _content(folder: Path, section: Section, name: str) -> bytes:
    """What stands in a field: as base64 under ``<name>-data``, or in the file that ``<name>`` names."""
    try:
        if section.get(f"{name}-data"):
            return base64.b64decode(str(section[f"{name}-data"]), validate=True)
        return (folder / str(section[name])).read_bytes() if section.get(name) else b""
    except (OSError, binascii.Error) as error:
        raise ConfigurationError(
            f"the kubeconfig's {name} cannot be read ({error}); write the kubeconfig again"
        ) from error
