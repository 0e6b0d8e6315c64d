"""Settings of the pod of a task: volumes, settings, secrets, resources, limits."""

from dataclasses import dataclass
from typing import Any

from components import CODE_PATH, SETTINGS_PATH, STORAGE_KEY_PATH, WORK_PATH

ENVIRONMENT = (
    "STORAGE_EMULATOR_HOST",
    "SIGHTLINE_GCS_USER_PROJECT",
    "SIGHTLINE_GCS_KMS_KEY",
    "SIGHTLINE_DASHBOARD",
    "SIGHTLINE_TENSORBOARD",
    "MLFLOW_TRACKING_URI",
)
"""Keys of the ConfigMap sightline-environment that become variables of tasks, if they exist."""

SHARED_MEMORY = "2Gi"
"""Shared memory of a task with torch, used by its data loaders; the default of Kubernetes is 64 MiB."""

USER = 1000
"""The user and group of both images, and the owner of both volumes (manifests/)."""


@dataclass(frozen=True)
class Claims:
    """The pipeline parameters that every task needs: names of objects that the manifests create.

    Attributes:
        work_volume: Claim of the work volume.
        code_volume: Claim of the volume with the published code.
        database_secret: Secret with the key password.
        git_secret: Secret with the key token.
        storage_secret: Secret with the key key.json.
        notify_secret: Secret with the key url.
    """

    work_volume: Any
    code_volume: Any
    database_secret: Any
    git_secret: Any
    storage_secret: Any
    notify_secret: Any


@dataclass(frozen=True)
class Resources:
    """The pipeline parameters for image, resources and node of a task.

    Attributes:
        image: The container image.
        cpu: CPU limit, such as 2 or 500m.
        memory: Memory limit, such as 8Gi.
        node_selector: Labels of the node; this and the following only apply to a task that can use an accelerator.
        tolerations: Taints that the pod tolerates.
        accelerator_type: Kubernetes resource name of the accelerator, such as nvidia.com/gpu; None: it uses none.
        accelerator_count: Number of accelerators, a string parameter like all of these; "0" runs on the CPU.
    """

    image: Any
    cpu: Any
    memory: Any
    node_selector: Any = None
    tolerations: Any = None
    accelerator_type: Any = None
    accelerator_count: Any = None


def in_pod(task: Any, step: str, claims: Claims, resources: Resources) -> Any:
    """Set everything that a task needs in the cluster; a local run ignores it.

    Secrets and ConfigMaps are optional, because the pod would wait for a missing one forever, without any message.  The
    step itself reports what is missing.

    Args:
        task: The task.
        step: Its name in ``sightline.runs.step_table``.
        claims: Names of volumes and secrets.
        resources: Image, resources and node.
    """
    from kfp import dsl, kubernetes

    from sightline.runs.step_table import BY_NAME

    kubernetes.mount_pvc(task, pvc_name=claims.work_volume, mount_path=WORK_PATH)
    kubernetes.mount_pvc(task, pvc_name=claims.code_volume, mount_path=CODE_PATH)
    kubernetes.use_config_map_as_volume(task, "sightline-settings", SETTINGS_PATH, optional=True)
    kubernetes.use_config_map_as_env(task, "sightline-environment", {key: key for key in ENVIRONMENT}, optional=True)
    password = {"password": "SIGHTLINE_DATABASE_PASSWORD"}
    kubernetes.use_secret_as_env(task, claims.database_secret, password, optional=True)
    kubernetes.use_secret_as_env(task, claims.git_secret, {"token": "SIGHTLINE_GIT_TOKEN"}, optional=True)
    kubernetes.use_secret_as_volume(task, claims.storage_secret, STORAGE_KEY_PATH, optional=True)
    task.set_env_variable("SIGHTLINE_STORAGE_KEY", f"{STORAGE_KEY_PATH}/key.json")
    kubernetes.use_field_path_as_env(task, "SIGHTLINE_RUN_ID", "metadata.labels['pipeline/runid']")
    kubernetes.set_security_context(task, run_as_user=USER, run_as_group=USER, run_as_non_root=True)
    kubernetes.set_timeout(task, BY_NAME[step].timeout_seconds)
    kubernetes.add_pod_label(task, "app.kubernetes.io/part-of", "sightline")
    kubernetes.add_pod_label(task, "app.kubernetes.io/component", step)
    task.set_container_image(resources.image).set_cpu_limit(resources.cpu).set_memory_limit(resources.memory)
    if resources.accelerator_type is not None:
        kubernetes.add_node_selector_json(task, resources.node_selector)
        kubernetes.add_toleration_json(task, resources.tolerations)
        task.set_accelerator_type(resources.accelerator_type).set_accelerator_limit(resources.accelerator_count)
        kubernetes.empty_dir_mount(task, "shared-memory", "/dev/shm", medium="Memory", size_limit=SHARED_MEMORY)  # noqa: S108
    # Every task gets the webhook: the last task of a resumed run closes it, because Kubeflow does not run finish twice.
    kubernetes.use_secret_as_env(task, claims.notify_secret, {"url": "SIGHTLINE_NOTIFY_URL"}, optional=True)
    # Kubeflow's compiler only passes those parameters into a group that its tasks declare as inputs.
    known = {channel.pattern for channel in task.channel_inputs}
    wanted = [value for value in vars(resources).values() if isinstance(value, dsl.pipeline_channel.PipelineChannel)]
    task.channel_inputs.extend(channel for channel in wanted if channel.pattern not in known)
    if BY_NAME[step].retries:
        task.set_retry(BY_NAME[step].retries, backoff_duration="30s", backoff_factor=2.0, backoff_max_duration="10m")
    return task
