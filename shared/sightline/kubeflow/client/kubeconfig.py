"""The cluster of a kubeconfig, read by the ``kubernetes`` client.

This module adds what version 30 of the client lacks: ``proxy-url``; the current context from the first of several files
that sets one; paths relative to the file that contains them; and token files that are renewed.
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
from pathlib import Path
from typing import Any

from kubernetes.client import Configuration
from kubernetes.config import ConfigException
from kubernetes.config.kube_config import KubeConfigLoader

from sightline.config.settings import read_yaml
from sightline.errors import ConfigurationError, NotAuthorisedError
from sightline.kubeflow.client.access import ClusterAccess, prepare, tls_context
from sightline.kubeflow.client.plugin import Plugin
from sightline.kubeflow.client.secret_files import read_secret

Section = dict[str, Any]

_FILES = ("certificate-authority", "client-certificate", "client-key")


def read_kubeconfig(paths: str, context: str = "") -> ClusterAccess | None:
    """The cluster of a context.

    Args:
        paths: Files, separated by colons; empty: ``~/.kube/config``.
        context: Name of the context; empty: the current context of the first file that sets one.

    Returns:
        None if there is no file.

    Raises:
        ConfigurationError: A file cannot be used, or refers to a section that does not exist.
        NotAuthorisedError: A plugin or file gives no credentials.
    """
    files = [Path(path).expanduser() for path in (paths or "~/.kube/config").split(os.pathsep) if path]
    there = [path for path in files if path.exists()]
    if not there:
        if paths:
            raise ConfigurationError(
                f"there is no kubeconfig {paths}; set KUBECONFIG or --kubeconfig to an existing file"
            )
        return None
    documents = [(path, read_yaml(path)) for path in there]
    current = context or next((text for _, one in documents if (text := str(one.get("current-context") or ""))), "")
    source = f"context {current} of {there[0]}"
    with tempfile.TemporaryDirectory() as private:  # OpenSSL reads keys only from files; these are deleted at once
        try:
            _, chosen = _named(documents, "context", current)
            cluster = _with_files(*_named(documents, "cluster", str(chosen.get("cluster"))), private)
            user_folder, user = _named(documents, "user", str(chosen["user"])) if chosen.get("user") else (Path(), {})
            configuration = _loaded(cluster, _with_files(user_folder, user, private))
            tls = tls_context(configuration, source)
            _renewed(configuration, user, user_folder, tls)
        except (ConfigException, AttributeError, KeyError, TypeError, ValueError) as error:
            if isinstance(error, ConfigurationError):
                raise
            said = str(error) if isinstance(error, ConfigException) else "a field has the wrong type"
            raise ConfigurationError(f"{source} cannot be used: {said}; create the kubeconfig again") from error
    return ClusterAccess(configuration, tls, str(chosen.get("namespace") or ""), source)


def _named(documents: list[tuple[Path, Section]], kind: str, name: str) -> tuple[Path, Section]:
    """A section by name, with the folder of its file; the first file takes precedence, as in kubectl."""
    names: list[str] = []
    for path, document in documents:
        for entry in document.get(f"{kind}s") or []:
            if entry.get("name") == name:
                return path.parent.absolute(), entry.get(kind) or {}
            names.append(str(entry.get("name")))
    there = ", ".join(names) or "none"
    raise ConfigurationError(f"the kubeconfig {documents[0][0]} has no {kind} {name!r}; it has {there}")


def _with_files(folder: Path, section: Section, private: str) -> Section:
    """The section with certificates and keys in files with absolute paths."""
    section = dict(section)
    for name in _FILES:
        data = section.pop(f"{name}-data", None)
        if data:
            try:
                content = base64.b64decode("".join(str(data).split()), validate=True)
            except binascii.Error as error:
                raise ConfigurationError(
                    f"the kubeconfig's {name}-data is not base64 ({error}); create the kubeconfig again"
                ) from error
            section[name] = _write(private, name, content)
        elif section.get(name):
            section[name] = str(folder / str(section[name]))
    return section


def _loaded(cluster: Section, user: Section) -> Configuration:
    """The client's settings for a cluster and a user, without credentials that are renewed."""
    server = str(cluster.get("server") or "")
    if not server.startswith(("http://", "https://")):
        raise ConfigException(f"server {server!r} is not a URL; expected e.g. https://10.0.0.1:6443")
    provider = (user.get("auth-provider") or {}).get("name", "oidc")
    if provider != "oidc":
        raise ConfigurationError(
            f"auth-provider {provider!r} in the kubeconfig is not supported (kubectl 1.26 removed it); create the "
            "kubeconfig again (for GKE: gcloud container clusters get-credentials)"
        )
    configuration = Configuration()
    document = {
        "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        "clusters": [{"name": "it", "cluster": cluster}],
        "users": [{"name": "it", "user": {key: user[key] for key in user if key not in {"exec", "tokenFile"}}}],
    }
    _Loader(document, active_context="it").load_and_set(configuration)
    prepare(configuration, str(cluster.get("proxy-url") or ""))
    return configuration


def _renewed(configuration: Configuration, user: Section, folder: Path, tls: ssl.SSLContext) -> None:
    """Let the client renew credentials; as in kubectl, files take precedence over tokens, and tokens over plugins."""
    if token_file := user.get("tokenFile"):

        def renew(configuration: Configuration) -> None:
            configuration.api_key["authorization"] = f"Bearer {read_secret(folder / str(token_file), 'token')}"

        configuration.refresh_api_key_hook = renew
    elif "exec" in user and not user.get("token"):
        configuration.refresh_api_key_hook = Plugin(dict(user["exec"]), folder, tls)


class _Loader(KubeConfigLoader):  # type: ignore[misc]  # the library has no types
    """The loader of the client, but it does not renew id-tokens, because it could not save them."""

    def _refresh_oidc(self, provider: object) -> None:  # noqa: ARG002
        raise NotAuthorisedError("the id-token in the kubeconfig has expired; run any kubectl command to renew it")


def _write(folder: str, name: str, content: bytes) -> str:
    path = Path(folder, name)
    path.touch(mode=0o600)
    path.write_bytes(content)
    return str(path)
