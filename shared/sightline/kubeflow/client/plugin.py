"""Credential plugins of a kubeconfig, such as gke-gcloud-auth-plugin, which give tokens and certificates.

The ``kubernetes`` client runs them too, but waits forever for one that hangs, only logs that one fails and goes on
without credentials, and never renews a certificate.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kubernetes.client import Configuration
from kubernetes.config import ConfigException
from kubernetes.config.dateutil import parse_rfc3339
from kubernetes.config.exec_provider import ExecProvider
from kubernetes.config.kube_config import ConfigNode

from sightline import strict_json
from sightline.errors import NotAuthorisedError
from sightline.kubeflow.client.document import Document

SECONDS = 60.0
"""Patience with a plugin that nobody can answer."""

_EARLY = timedelta(seconds=60)


class Plugin:
    """Runs a plugin before the first request, and again when its credentials expire.

    Args:
        asked: The section ``exec`` of the kubeconfig.
        folder: Folder of the kubeconfig, to which paths are relative.
        tls: Receives the certificate, if the plugin gives one.
    """

    def __init__(self, asked: Document, folder: Path, tls: ssl.SSLContext) -> None:
        self._asked, self._folder, self._tls = ConfigNode("exec", asked), folder, tls
        self._until = datetime.min.replace(tzinfo=UTC)
        self._who = f"{asked.get('command')}, which the kubeconfig runs for credentials,"

    def __call__(self, configuration: Configuration) -> None:
        """Renew the credentials if they are missing or expired; a client's ``refresh_api_key_hook``.

        Raises:
            NotAuthorisedError: The plugin is missing, fails, or gives neither token nor certificate.
        """
        if datetime.now(UTC) < self._until:
            return
        status = self._status()
        try:
            if status.get("clientCertificateData"):
                self._show(status["clientCertificateData"], status["clientKeyData"])
            expiry = status.get("expirationTimestamp")
            self._until = parse_rfc3339(expiry) - _EARLY if expiry else datetime.max.replace(tzinfo=UTC)
        except (AttributeError, KeyError, TypeError, ValueError, OSError) as error:  # errors of OpenSSL are OSErrors
            raise NotAuthorisedError(f"{self._who} returned credentials that cannot be used; run it by hand") from error
        if status.get("token"):
            configuration.api_key["authorization"] = f"Bearer {status['token']}"

    def _status(self) -> Document:
        done = self._run()
        if done.returncode:
            last = (done.stderr or "see its output above").strip().splitlines()[-1:]
            raise NotAuthorisedError(
                f"{self._who} failed with exit code {done.returncode} ({''.join(last)}); run it by hand, or log in"
            )
        try:
            answer = strict_json.decode(done.stdout)
        except strict_json.JsonError as error:
            raise NotAuthorisedError(f"{self._who} returned something that is not JSON; run it by hand") from error
        version, status = (answer.get("apiVersion"), answer.get("status")) if isinstance(answer, dict) else ("", None)
        if version and version != self._asked["apiVersion"]:
            raise NotAuthorisedError(
                f"{self._who} answers for apiVersion {version}, but the kubeconfig asks for "
                f"{self._asked['apiVersion']}; update one of them"
            )
        if not isinstance(status, dict) or not (status.get("token") or status.get("clientCertificateData")):
            raise NotAuthorisedError(
                f"{self._who} returned neither token nor certificate; run it by hand, or log in again"
            )
        return status

    def _run(self) -> subprocess.CompletedProcess[str]:
        """Run the plugin; on a terminal it may ask the person who sits there, and takes as long as that takes."""
        interactive = sys.stdin.isatty() and sys.stderr.isatty()
        try:
            provider = ExecProvider(self._asked, str(self._folder))
            asked = {"apiVersion": provider.api_version, "kind": "ExecCredential", "spec": {"interactive": interactive}}
            environment = {name: str(value) for name, value in provider.env.items()}
            return subprocess.run(
                [str(part) for part in provider.args],
                env={**environment, "KUBERNETES_EXEC_INFO": json.dumps(asked)},
                cwd=provider.cwd,
                stdin=None if interactive else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=None if interactive else subprocess.PIPE,
                timeout=None if interactive else SECONDS,
                text=True,
                errors="replace",
                check=False,
            )
        except FileNotFoundError as error:
            hint = " ".join(str(self._asked.safe_get("installHint") or "install it, or put it on PATH").split())
            raise NotAuthorisedError(f"{self._who} does not exist; {hint}") from error
        except OSError as error:
            raise NotAuthorisedError(f"{self._who} cannot be run ({error.strerror}); fix its permissions") from error
        except subprocess.TimeoutExpired as error:
            raise NotAuthorisedError(
                f"{self._who} returned nothing within {SECONDS:g} s; run it by hand, or log in again"
            ) from error
        except (ConfigException, TypeError, ValueError) as error:
            raise NotAuthorisedError(f"the kubeconfig's section exec is wrong ({error}); correct it") from error

    def _show(self, certificate: str, key: str) -> None:
        """Use a certificate for the next connection; OpenSSL reads it from a file, which is deleted at once."""
        with tempfile.TemporaryDirectory() as private:
            pair = Path(private, "pair.pem")
            pair.touch(mode=0o600)
            pair.write_text(f"{certificate.rstrip()}\n{key}", encoding="ascii")
            self._tls.load_cert_chain(pair, password="")
