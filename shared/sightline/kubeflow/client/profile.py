"""Which Kubeflow, which account, which namespace: options, then environment, then profile file, then what is found.

The profile file ``~/.sightline/kubeflow.yaml`` has one section a place; ``default`` counts where none is named::

    default:
      host: http://localhost:8888
    office:
      host: https://kubeflow.example.com/pipeline
      dashboard: https://kubeflow.example.com/_/pipeline
      namespace: vision
      cookie_file: ~/.sightline/office.cookie
      parameters: {base_image: registry.example.com/base-python3.11:0.1.0, node_selector: {pool: gpu}}

A cookie or token is never written into it: it names the file that holds one.
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
"""What Kubernetes puts into every pod."""

PIPELINES_TOKEN = Path("/var/run/secrets/kubeflow/pipelines/token")
"""What a PodDefault of multi-user Kubeflow puts into a notebook: a token for the pipelines' API, renewed in place."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How one Kubeflow is reached; an empty field is found out.

    Attributes:
        host: Address of the pipelines' API, with the path that leads to it, such as /pipeline.
        namespace: Where runs and their pods, secrets and volumes are.
        dashboard: Address of the web page, for links; empty: what the cluster tells its tasks, else there are no links.
        token_file: File with a bearer token for the API; read again for each request, so it may be renewed in place.
        cookie_file: File with a session cookie for the API, as ``name=value``.
        ca_file: CA bundle (PEM) to verify the API host.
        kubeconfig: How to reach the cluster; several files with colons, as for kubectl.
        context: Which context of it.
        system_namespace: Where Kubeflow Pipelines itself is installed.
        service_account: Service account of the pods of new runs; empty: one of Kubeflow's own, which may do far more.
        port_forward: Reach the API through a port forwarded by kubectl.
        parameters: Parameters of new runs, such as images from a registry of one's own; those that are given win.
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
    """Put together where Kubeflow is and who asks.

    Args:
        options: Fields of :class:`Profile` that were given by hand; they win over all else, empty ones count as not
            given.
        name: The profile in the profile file; empty: ``$SIGHTLINE_KUBEFLOW_PROFILE``, else ``default`` if it is there.
        environment: The variables of :data:`VARIABLES`.

    Raises:
        ConfigurationError: The file cannot be used, or has no such profile.
    """
    named = name or environment.get("SIGHTLINE_KUBEFLOW_PROFILE", "")
    profile = _from_file(named)
    variables = {key: environment.get(variable, "") for key, variable in VARIABLES.items()}
    if not variables["token_file"]:
        variables["token_file"] = environment.get("KF_PIPELINES_SA_TOKEN_PATH", "")  # the name that kfp's own SDK uses
    if named:  # who names a profile means it; who does not means the environment
        unset = Profile()
        variables = {key: value for key, value in variables.items() if getattr(profile, key) == getattr(unset, key)}
    for given in (variables, options):
        profile = replace(profile, **{key: value for key, value in given.items() if value})  # type: ignore[arg-type]
    if holds_secret(profile.host):
        raise ConfigurationError("the host of Kubeflow holds a password; put a token or cookie into a file instead")
    if profile.host and "://" not in profile.host:
        raise ConfigurationError(f"host {profile.host!r} is not a URL; expected e.g. http://localhost:8888")
    if profile.dashboard and not profile.dashboard.startswith(("http://", "https://")):
        raise ConfigurationError(
            f"dashboard {profile.dashboard!r} is not a URL; expected such as https://kubeflow.example.com/_/pipeline"
        )
    return replace(profile, host=profile.host.rstrip("/"), dashboard=profile.dashboard.rstrip("/"))


def _from_file(name: str) -> Profile:
    path = profile_path()
    document = read_yaml(path) if path.exists() else {}
    section = document.get(name or "default")
    if section is None:
        if name:
            there = ", ".join(sorted(document)) or "none"
            raise ConfigurationError(f"{path} has no profile {name!r}; there are: {there}")
        return Profile()
    known = [one.name for one in fields(Profile)]
    if not isinstance(section, dict):
        raise ConfigurationError(f"{path}: profile {name or 'default'} must be a section of {', '.join(known)}")
    for key, value in section.items():
        wanted = {"port_forward": bool, "parameters": dict}.get(key, str)
        if key not in known:
            raise ConfigurationError(
                f"{path}: {name or 'default'}.{key} is not a field; expected one of {', '.join(known)}"
            )
        if not isinstance(value, wanted):
            raise ConfigurationError(f"{path}: {name or 'default'}.{key} must be a {wanted.__name__}, not {value!r}")
    return Profile(**section)


def in_cluster() -> bool:
    """Whether this process runs in a pod that may talk to its cluster."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and (SERVICE_ACCOUNT / "token").exists()
