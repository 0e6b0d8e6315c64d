"""Connect to the two APIs that the commands use, as a profile says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from kubernetes.client import Configuration
from kubernetes.config import ConfigException
from kubernetes.config.incluster_config import InClusterConfigLoader

from sightline.errors import ConfigurationError, KubeflowError, NoKubeflowError
from sightline.kubeflow.client.access import ClusterAccess, prepare, tls_context
from sightline.kubeflow.client.cluster import Cluster
from sightline.kubeflow.client.failures import Place
from sightline.kubeflow.client.kubeconfig import read_kubeconfig
from sightline.kubeflow.client.pipelines_api import PipelinesApi
from sightline.kubeflow.client.port_forward import forwarded_port
from sightline.kubeflow.client.profile import PIPELINES_TOKEN, SERVICE_ACCOUNT, Profile, in_cluster
from sightline.kubeflow.client.secret_files import headers_from_files
from sightline.kubeflow.client.server import Server

ENVIRONMENT = "sightline-environment"
"""The ConfigMap with environment variables of the tasks (manifests/)."""

_TITLE = "the Kubeflow Pipelines API"
_HOST_REMEDY = (
    "set --host or KFP_HOST to the address of the API, and --token-file or --cookie-file if it requires a login"
)


@dataclass(frozen=True)
class Kubeflow:
    """A connection to one Kubeflow, for one user and one namespace.

    Attributes:
        api: Pipelines, runs, schedules.
        cluster: Pods, secrets, volumes; None if no cluster can be reached from here.
        dashboard: Address of the dashboard; empty if unknown.
        namespace: Namespace of the runs.
        service_account: Service account of the pods of new runs; empty: Kubeflow's default.
        parameters: Default parameters of new runs.
    """

    api: PipelinesApi
    cluster: Cluster | None
    dashboard: str
    namespace: str
    service_account: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def run_link(self, run_id: str) -> str:
        """The page of a run in the dashboard; empty if the address of the dashboard is unknown.

        The address of the API is never used, because it does not serve the dashboard.
        """
        dashboard = self.dashboard or self._cluster_dashboard
        return f"{dashboard}/#/runs/details/{run_id}" if dashboard else ""

    @cached_property
    def _cluster_dashboard(self) -> str:
        """The address that the cluster gives to its tasks; empty if it cannot be read."""
        try:
            found = self.cluster.find("config_map", ENVIRONMENT) if self.cluster else None
        except KubeflowError:
            return ""
        address = str(((found or {}).get("data") or {}).get("SIGHTLINE_DASHBOARD") or "")
        return address.rstrip("/") if address.startswith(("http://", "https://")) else ""


@contextmanager
def connect(profile: Profile) -> Iterator[Kubeflow]:
    """Connect to the Kubeflow of a profile.

    Without a namespace in the profile, a multi-user Kubeflow uses that of the kubeconfig or of this pod; any other uses
    the namespace in which it is installed.

    Raises:
        NoKubeflowError: No Kubeflow is configured.
        ConfigurationError: A file in the profile cannot be used.
        NotAuthorisedError: A plugin or a file gives no credentials.
    """
    access = _cluster_access(profile)
    own = profile.namespace or (access.namespace if access else "")
    with ExitStack() as stack:
        forwarded = ""
        if profile.port_forward:
            place = (profile.system_namespace, profile.kubeconfig, profile.context)
            forwarded = stack.enter_context(forwarded_port(*place))
        api = PipelinesApi(_api_server(profile, access, forwarded), own)
        namespace = profile.namespace or (own if _has_many_users(api) else profile.system_namespace)
        cluster = Cluster(_cluster_server(access), namespace) if access else None
        yield Kubeflow(api, cluster, profile.dashboard, namespace, profile.service_account, profile.parameters)


def own_cluster() -> Cluster:
    """The cluster of this pod, in the pod's own namespace, with the permissions of its service account.

    Raises:
        ConfigurationError: The token or the CA of the service account cannot be read.
    """
    access = _cluster_access(Profile())
    assert access is not None, "only called in a pod"  # noqa: S101
    return Cluster(_cluster_server(access), access.namespace)


def _has_many_users(api: PipelinesApi) -> bool:
    try:
        return api.health.multi_user
    except KubeflowError:  # the first request of the command reports it
        return False


def _api_server(profile: Profile, access: ClusterAccess | None, forwarded: str) -> Server:
    host = forwarded or profile.host
    if not host and in_cluster():
        host = f"http://ml-pipeline.{profile.system_namespace}.svc:8888"
    if host:
        configuration = Configuration(host)
        prepare(configuration)
        configuration.ssl_ca_cert = profile.ca_file or None
        tls = tls_context(configuration, "--ca-file or KFP_CA_FILE") if profile.ca_file else None
        place = Place(_TITLE, host, _HOST_REMEDY, proxy=configuration.proxy or "")
        return Server(place, configuration, _own_headers(profile), tls)
    if access is None:
        raise NoKubeflowError(
            "no Kubeflow is configured: set --host or KFP_HOST to the address of its API, or KUBECONFIG to a "
            "kubeconfig of its cluster, or write a profile file (docs/kubeflow.md)"
        )
    # Through the API server, which reaches every service; kfp's own SDK does the same.
    path = f"/api/v1/namespaces/{profile.system_namespace}/services/ml-pipeline:8888/proxy"
    remedy = f"the request went through {access.source}; set --host or KFP_HOST if there is a direct address"
    return _server_of(access, _TITLE, path, remedy)


def _cluster_server(access: ClusterAccess) -> Server:
    remedy = f"this is {access.source}: set KUBECONFIG or --kubeconfig, or log in to the cluster again"
    return _server_of(access, "the cluster", "", remedy)


def _server_of(access: ClusterAccess, title: str, path: str, remedy: str) -> Server:
    configuration = copy(access.configuration)
    configuration.host += path
    place = Place(title, configuration.host, remedy, access.source, configuration.proxy or "")
    return Server(place, configuration, access.headers, access.tls)


def _own_headers(profile: Profile) -> Callable[[], Mapping[str, str]]:
    token_file = profile.token_file
    if not token_file and not profile.cookie_file and PIPELINES_TOKEN.exists():
        token_file = str(PIPELINES_TOKEN)
    return partial(headers_from_files, token_file, profile.cookie_file)


def _cluster_access(profile: Profile) -> ClusterAccess | None:
    if not in_cluster() or profile.kubeconfig:
        return read_kubeconfig(profile.kubeconfig, profile.context)
    configuration, source = Configuration(), "this pod's service account"
    try:
        token, authority = SERVICE_ACCOUNT / "token", SERVICE_ACCOUNT / "ca.crt"
        InClusterConfigLoader(str(token), str(authority)).load_and_set(configuration)
    except (ConfigException, OSError) as error:
        raise ConfigurationError(f"{source} cannot be used: {error}; set --kubeconfig") from error
    prepare(configuration)
    return ClusterAccess(configuration, tls_context(configuration, source), _own_namespace(), source)


def _own_namespace() -> str:
    path = SERVICE_ACCOUNT / "namespace"
    return path.read_text(encoding="utf-8").strip() if path.exists() else ""
