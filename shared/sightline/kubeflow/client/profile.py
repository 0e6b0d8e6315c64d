"""Which Kubeflow, account and namespace to use, from options, environment and profile file.

The profile file ``~/.sightline/kubeflow.yaml`` has a section for each Kubeflow; by default, ``default`` is used::

    default:
      host: http://localhost:8888
    office:
      host: https://kubeflow.example.com/pipeline
      dashboard: https://kubeflow.example.com/_/pipeline
      namespace: vision
      cookie_file: ~/.sightline/office.cookie
      parameters: {base_image: registry.example.com/base-python3.11:0.1.0, node_selector: {pool: gpu}}

It never contains a cookie or token, only the path of the file with one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from sightline.config.settings import home, read_yaml
from sightline.errors import ConfigurationError
from sightline.url_secrets import holds_secret

VARIABLES = {
    "host": "KFP_HOST",
    "namespace": "KFP_NAMESPACE",
    "dashboard": "SIGHTLINE_DASHBOARD",
    "token_file": "KFP_TOKEN_FILE",
    "cookie_file": "KFP_COOKIE_FILE",
    "ca_file": "KFP_CA_FILE",
    "kubeconfig": "KUBECONFIG",
    "context": "KUBE_CONTEXT",
    "system_namespace": "KFP_SYSTEM_NAMESPACE",
    "service_account": "KFP_SERVICE_ACCOUNT",
}
"""Field of a profile -> environment variable."""

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where Kubernetes mounts the service account in every pod."""

PIPELINES_TOKEN = Path("/var/run/secrets/kubeflow/pipelines/token")
"""A token for the pipelines API that a PodDefault of multi-user Kubeflow mounts in notebooks; renewed in place."""


_KINDS: dict[str, tuple[type, str]] = {"port_forward": (bool, "true or false"), "parameters": (dict, "a mapping")}


@dataclass(frozen=True, slots=True)
class Profile:
    """Connection to one Kubeflow; an empty field has a default.

    Attributes:
        host: Address of the pipelines API, including its path, such as /pipeline.
        namespace: Namespace of runs, pods, secrets and volumes.
        dashboard: Address of the dashboard, for links; empty: the one in ``sightline-environment``, if any.
        token_file: File with a bearer token for the API; read for each request, so it can be renewed in place.
        cookie_file: File with a session cookie for the API, as ``name=value``.
        ca_file: CA bundle (PEM) to verify the API host.
        kubeconfig: Kubeconfig of the cluster; several files are separated by colons, as for kubectl.
        context: Context of the kubeconfig.
        system_namespace: Namespace in which Kubeflow Pipelines is installed.
        service_account: Service account of the pods of new runs; empty: Kubeflow's own, which has far more permissions.
        port_forward: Reach the API through a port forwarded by kubectl.
        parameters: Default parameters of new runs, such as images from your own registry.
    """

    host: str = ""
    namespace: str = ""
    dashboard: str = ""
    token_file: str = ""
    cookie_file: str = ""
    ca_file: str = ""
    kubeconfig: str = ""
    context: str = ""
    system_namespace: str = "kubeflow"
    service_account: str = ""
    port_forward: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)


def profile_path() -> Path:
    """The profile file."""
    return home() / "kubeflow.yaml"


def find_profile(options: Mapping[str, str], name: str = "", environment: Mapping[str, str] = os.environ) -> Profile:
    """Combine options, environment and profile file.

    Args:
        options: Fields of :class:`Profile` from the command line; they take precedence, and empty ones are ignored.
        name: The profile in the profile file; empty: ``$SIGHTLINE_KUBEFLOW_PROFILE``, or else ``default`` if it exists.
        environment: The variables of :data:`VARIABLES`.

    Raises:
        ConfigurationError: The file cannot be used, or has no such profile.
    """
    named = name or environment.get("SIGHTLINE_KUBEFLOW_PROFILE", "")
    profile = _from_file(named)
    variables = {key: environment.get(variable, "") for key, variable in VARIABLES.items()}
    if not variables["token_file"]:
        variables["token_file"] = environment.get("KF_PIPELINES_SA_TOKEN_PATH", "")  # the variable of kfp's SDK
    if named:  # a profile given by name takes precedence over the environment
        unset = Profile()
        variables = {key: value for key, value in variables.items() if getattr(profile, key) == getattr(unset, key)}
    for given in (variables, options):
        profile = replace(profile, **{key: value for key, value in given.items() if value})  # type: ignore[arg-type]
    if holds_secret(profile.host):
        raise ConfigurationError("the host of Kubeflow contains a password; put a token or cookie into a file instead")
    if profile.host and "://" not in profile.host:
        raise ConfigurationError(f"host {profile.host!r} is not a URL; expected e.g. http://localhost:8888")
    if profile.dashboard and not profile.dashboard.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"dashboard {profile.dashboard!r} is not a URL; expected e.g. https://kubeflow.example.com/_/pipeline"
        )
    return replace(profile, host=profile.host.rstrip("/"), dashboard=profile.dashboard.rstrip("/"))


def _from_file(name: str) -> Profile:
    path = profile_path()
    document = read_yaml(path) if path.exists() else {}
    section = document.get(name or "default")
    if section is None:
        if name:
            there = ", ".join(sorted(document)) or "none"
            raise ConfigurationError(f"{path} has no profile {name!r}; it has {there}")
        return Profile()
    known = [one.name for one in fields(Profile)]
    if not isinstance(section, dict):
        raise ConfigurationError(
            f"{path}: profile {name or 'default'} must be a mapping with fields among {', '.join(known)}"
        )
    for key, value in section.items():
        kind, wanted = _KINDS.get(key, (str, "a string"))
        if key not in known:
            raise ConfigurationError(
                f"{path}: {name or 'default'}.{key} is not a field; expected one of {', '.join(known)}"
            )
        if not isinstance(value, kind):
            raise ConfigurationError(f"{path}: {name or 'default'}.{key} must be {wanted}, got {value!r}")
    return Profile(**section)


def in_cluster() -> bool:
    """Whether this process runs in a pod that can reach the API of its cluster."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and (SERVICE_ACCOUNT / "token").exists()
