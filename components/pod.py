"""What a task asks of Kubernetes: volumes, settings, secrets, resources, limits."""

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
"""The keys of the ConfigMap sightline-environment that tasks see, if they are there."""

SHARED_MEMORY = "2Gi"
"""Of a task with torch, whose loaders hand batches over in it; Kubernetes' own default is 64 MiB."""

USER = 1000
"""The user and group of both images, and the owner of both volumes (manifests/)."""


@dataclass(frozen=True)
class Claims:
    """The pipeline parameters that every task needs: names of what the manifests make.

    Attributes:
        work_volume: Claim of the work volume.
        code_volume: Claim of the volume with the helper code.
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
    """The pipeline parameters that say how much a task gets, and where.

    Attributes:
        image: The container image.
        cpu: Most processors, such as 2 or 500m.
        memory: Most memory, such as 8Gi.
        node_selector: Labels of the node; the rest too counts for a task that can use an accelerator.
        tolerations: Taints that the pod tolerates.
        accelerator_type: Kubernetes' name of the accelerator, such as nvidia.com/gpu; None: it has no use for one.
        accelerator_count: How many of them, a string parameter like all of these; "0" runs on the CPU.
    """

    image: Any
    cpu: Any
    memory: Any
    node_selector: Any = None
    tolerations: Any = None
    accelerator_type: Any = None
    accelerator_count: Any = None


def in_pod(task: Any, step: str, claims: Claims, resources: Resources) -> Any:
    """Give a task what it needs in the cluster; on a laptop nothing of it counts.

    Secrets and ConfigMaps are optional, since a missing one would leave the pod waiting for ever without a word: the
    step itself says what it lacks.

    Args:
        task: The task.
        step: Its name in ``sightline.runs.step_table``.
        claims: Volumes and secrets.
        resources: What it gets.
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
    # Of every task: the last one of a resumed run closes it, because Kubeflow does not run finish twice.
    kubernetes.use_secret_as_env(task, claims.notify_secret, {"url": "SIGHTLINE_NOTIFY_URL"}, optional=True)
    # Kubeflow's compiler hands nothing down into a group but what its tasks say they take.
    known = {channel.pattern for channel in task.channel_inputs}
    wanted = [value for value in vars(resources).values() if isinstance(value, dsl.pipeline_channel.PipelineChannel)]
    task.channel_inputs.extend(channel for channel in wanted if channel.pattern not in known)
    if BY_NAME[step].retries:
        task.set_retry(BY_NAME[step].retries, backoff_duration="30s", backoff_factor=2.0, backoff_max_duration="10m")
    return task
