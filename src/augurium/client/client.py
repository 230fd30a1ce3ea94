"""The client of a node: the management API, and predictions."""

import os
import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, Unpack, overload

import httpx

from augurium.client import results
from augurium.client.batch_calls import BatchCalls
from augurium.client.batch_schedule_calls import BatchScheduleCalls
from augurium.client.connection import Connection, HttpOptions, TlsFiles, decoded
from augurium.client.deadline import Deadline
from augurium.client.errors import error_of_kind, error_of_response
from augurium.client.feedback_calls import FeedbackCalls
from augurium.client.fitted_transforms import FittedTransforms, transforms_source
from augurium.client.key_limits import KeyLimits
from augurium.client.predicting import Predicting
from augurium.client.prediction_call import model_path
from augurium.client.profiles import Profile
from augurium.client.recorded_predictions import PredictionCalls
from augurium.client.registration import VersionDetails, details_body, import_body, parcel
from augurium.client.registry_calls import RegistryCalls
from augurium.client.rollout_calls import RolloutCalls
from augurium.client.series_calls import SeriesCalls
from augurium.client.shadow_results import ShadowReport
from augurium.client.sources import open_source
from augurium.client.traffic_calls import TrafficCalls
from augurium.client.transport_options import (
    TransportOptions,
    server_key,
    server_url,
    tls_files,
)
from augurium.client.upload import Progress, Source, Upload
from augurium.client.version_archive import archived_model, key_fingerprint, save_archive
from augurium.core.errors import Internal

DEPLOYMENT_TIMEOUT_S = 180.0
UPLOAD_TIMEOUT_S = 900.0  # a server may have to send on to an object store what it was sent
FIRST_POLL_S = 0.05
LONGEST_POLL_S = 1.0


class Client(
    RegistryCalls,
    RolloutCalls,
    BatchCalls,
    BatchScheduleCalls,
    TrafficCalls,
    SeriesCalls,
    PredictionCalls,
    FeedbackCalls,
    Predicting,
):
    """One server, by its management URL. Close it, or use it in a `with` block.

    `url` defaults to AUGURIUM_URL, then to http://127.0.0.1:8080; `key` to AUGURIUM_KEY; `tls` to
    the files named by AUGURIUM_CA, AUGURIUM_CERTIFICATE and AUGURIUM_CERTIFICATE_KEY. `options` are
    those of `TransportOptions`. It may be shared between threads. Every method raises the
    AuguriumError of the kind the server answered, and NoServer when none answers.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        timeout_s: float = 30.0,
        tls: TlsFiles | None = None,
        **options: Unpack[TransportOptions],
    ) -> None:
        http = HttpOptions(server_url(url), server_key(key), tls_files(tls))
        self._connection = Connection(http, timeout_s)
        self._timeout_s = timeout_s
        self._begin_predicting(http, options)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends streams, waits for predictions that are under way, and closes all connections.

        Whatever is asked later raises ClientClosed.
        """
        self._end_predicting()
        self._connection.close()

    @property
    def url(self) -> str:
        """The management URL this client talks to."""
        return self._connection.url

    @cached_property
    def rest_url(self) -> str:
        """Where predictions go; asked of the server once."""
        return self._rest_url(Deadline(self._timeout_s))

    def server(self) -> results.Server:
        """The node: its URLs and engines."""
        return self._connection.call("GET", self._api("server"), results.Server)

    def scaling(self) -> results.Scaling:
        """How many engines there are and between which numbers, the newest decision, and why."""
        return self._connection.call("GET", self._api("scaling"), results.Scaling)

    def shadow_report(self, name: str) -> ShadowReport:
        """How the answers of a model's shadows differ from those that callers were given, with rows
        of callers as examples. Raises NotFound.
        """
        return self._connection.call("GET", self._api("models", name, "shadow"), ShadowReport)

    def ready(self) -> results.Readiness:
        """Whether every expected engine serves the newest state."""
        response = self._connection.send("GET", self._api("ready"))
        if not response.is_success and response.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            raise error_of_response(response)
        return decoded(response, results.Readiness)

    def activity(self) -> results.Activity:
        """What the node does now: versions with their place in memory and counters, and engines."""
        return self._connection.call("GET", self._api("activity"), results.Activity)

    def models(self, deleted: bool = False) -> tuple[results.Model, ...]:
        """All models, ordered by name; with `deleted` those that are deleted too."""
        url, parameters = self._api("models"), {"deleted": str(deleted).lower()}
        return self._connection.call("GET", url, results.Models, parameters=parameters).models

    def model(self, name: str) -> results.Model:
        """One model. Raises NotFound."""
        return self._connection.call("GET", self._api("models", name), results.Model)

    def versions(self, name: str, deleted: bool = False) -> tuple[results.Version, ...]:
        """All versions of a model, oldest first; with `deleted` those that are deleted too."""
        url, parameters = self._api("models", name, "versions"), {"deleted": str(deleted).lower()}
        return self._connection.call("GET", url, results.Versions, parameters=parameters).versions

    def version(self, name: str, version: int) -> results.Version:
        """One version, with its signature and import report. Raises NotFound."""
        url = self._api("models", name, "versions", version)
        return self._connection.call("GET", url, results.Version)

    def openapi(
        self, name: str, version: int | None = None, alias: str | None = None
    ) -> dict[str, Any]:
        """The OpenAPI document of a deployed model: its paths, its schemas and an example row.

        Raises NotFound, NotReady, and InvalidArgument when a version and an alias are named.
        """
        path = model_path(name, {"version": version, "alias": alias})
        url = f"{self.rest_url}/v2{path}/openapi.json"
        return self._connection.call("GET", url, dict[str, Any])

    def profile(self, name: str, version: int) -> Profile:
        """What the training data and the answers to it looked like.

        Raises NotFound, also for a version that was registered without a training table.
        """
        url = self._api("models", name, "versions", version, "profile")
        return self._connection.call("GET", url, Profile)

    def audit(
        self, model: str | None = None, limit: int = 100, before: int | None = None
    ) -> tuple[results.AuditEntry, ...]:
        """The newest changes first, of one model or of all; `before` a revision if one is given."""
        given = {"model": model, "before": before}
        parameters = {"limit": str(limit)} | {
            key: str(value) for key, value in given.items() if value is not None
        }
        url = self._api("audit")
        return self._connection.call("GET", url, results.Audit, parameters=parameters).entries

    def keys(self) -> tuple[results.Key, ...]:
        """All API keys that ever were, without their secrets."""
        return self._connection.call("GET", self._api("keys"), results.Keys).keys

    def create_key(
        self, name: str, scopes: Sequence[str], **limits: Unpack[KeyLimits]
    ) -> results.IssuedKey:
        """Makes a key; its text is told this once, and every engine takes it from now on.

        `scopes` are of predict, read, batch, deploy and admin. Raises Conflict for a name that a
        live key has, PermissionDenied for more than the caller may.
        """
        body = {"name": name, "scopes": list(scopes), **limits}
        return self._connection.call("POST", self._api("keys"), results.IssuedKey, body=body)

    def rotate_key(self, name: str) -> results.IssuedKey:
        """Makes a second key like the live one of that name, which stays until it is revoked.

        Raises NotFound, and Conflict when there are two already.
        """
        url = self._api("keys", name, "rotation")
        return self._connection.call("POST", url, results.IssuedKey)

    def revoke_key(self, which: str) -> tuple[results.Key, ...]:
        """Ends the key of that id, or all of that name, on every engine. Raises NotFound."""
        return self._connection.call("DELETE", self._api("keys", which), results.Keys).keys

    def upload(self, source: Source, progress: Progress | None = None) -> results.Artifact:
        """Stores a file, a folder (as a tar), a URI or bytes; sent in pieces, so memory stays flat.

        `progress` gets the stage `uploading` and the fraction sent. Raises TooLarge,
        InsufficientStorage, and InvalidArgument when there is nothing at the path.
        """
        upload = Upload(source)
        headers = {"content-type": "application/octet-stream"}
        if upload.size_bytes is not None:
            headers["content-length"] = str(upload.size_bytes)
        return self._connection.call(
            "POST",
            self._api("artifacts"),
            results.Artifact,
            content=upload.chunks(progress),
            headers=headers,
            timeout_s=max(self._timeout_s, UPLOAD_TIMEOUT_S),
        )

    @overload
    def register(
        self,
        model: object,
        *,
        name: str,
        data: object = None,
        example_inputs: object = None,
        preprocessing: Source | FittedTransforms | None = None,
        wait: Literal[True] = True,
        progress: Progress | None = None,
        **details: Unpack[VersionDetails],
    ) -> results.Version: ...

    @overload
    def register(
        self,
        model: object,
        *,
        name: str,
        data: object = None,
        example_inputs: object = None,
        preprocessing: Source | FittedTransforms | None = None,
        wait: Literal[False],
        progress: Progress | None = None,
        **details: Unpack[VersionDetails],
    ) -> results.Import: ...

    def register(
        self,
        model: object,
        *,
        name: str,
        data: object = None,
        example_inputs: object = None,
        preprocessing: Source | FittedTransforms | None = None,
        wait: bool = True,
        progress: Progress | None = None,
        **details: Unpack[VersionDetails],
    ) -> results.Version | results.Import:
        """Uploads and imports a model: the path of a file, or a fitted model in memory.

        `data` is the training data: the path of a table, a DataFrame, an Arrow table, a dict of
        columns or a list of dicts. It makes the parity check sharper, names features, and leaves
        example rows and the reference profile. `example_inputs` are the arguments of a PyTorch
        module, which it is exported with. `preprocessing` are fitted transforms, their JSON or
        its path. `progress` gets a stage for people and a fraction from 0 to 1. Returns the new
        version, or the running Import if not `wait`. Raises Unprocessable when the model is
        refused, and InvalidArgument for a name that no model may have, before anything is sent.
        """
        url = self._api("models", name, "imports")
        said, sent = details_body(details, data), parcel(model, data, example_inputs)
        body = import_body(
            sent,
            self.upload(sent.source, progress),
            said,
            table=self._beside("training data", sent.table, progress),
            preprocessing=self._beside("preprocessing", transforms_source(preprocessing), progress),
        )
        running = self._connection.call("POST", url, results.Import, body=body)
        return self.wait_for_import(running, progress) if wait else running

    def export_version(
        self,
        name: str,
        version: int,
        file: str | os.PathLike[str],
        progress: Progress | None = None,
    ) -> None:
        """Writes a version with all its files to a signed archive; replaces `file` when it is
        whole.

        Raises NotFound, and InvalidArgument when the file cannot be written.
        """
        url = self._api("models", name, "versions", version, "archive")
        save_archive(self._connection.download(url), Path(file), progress)

    def import_version(
        self,
        archive: Source,
        name: str | None = None,
        signer: str | None = None,
        progress: Progress | None = None,
    ) -> results.Version:
        """Registers the version of an archive as the next one of its model, or of `name`.

        `signer` is a public key to believe this once. The same archive twice is one version. Raises
        Unprocessable for what is no archive or was changed, and PermissionDenied for a signer the
        server does not trust.
        """
        content = open_source(archive)
        upload = Upload(content)
        parameters = {} if signer is None else {"signer": key_fingerprint(signer)}
        headers = {"content-type": "application/octet-stream"}
        if upload.size_bytes is not None:
            headers["content-length"] = str(upload.size_bytes)
        return self._connection.call(
            "POST",
            self._api("models", archived_model(content) if name is None else name, "archives"),
            results.Version,
            content=upload.chunks(progress),
            headers=headers,
            parameters=parameters,
            timeout_s=max(self._timeout_s, UPLOAD_TIMEOUT_S),
        )

    def trusted_keys(self) -> results.TrustedKeys:
        """The public key the server signs with, and those it trusts."""
        return self._connection.call("GET", self._api("trust"), results.TrustedKeys)

    def trust(self, name: str, key: str) -> results.TrustedKey:
        """Has the server believe the signatures of a public key. Raises InvalidArgument."""
        body = {"name": name, "key": key}
        return self._connection.call("POST", self._api("trust"), results.TrustedKey, body=body)

    def distrust(self, name: str) -> results.TrustedKeys:
        """Has the server believe a key, by name or fingerprint, no more. Raises NotFound."""
        return self._connection.call("DELETE", self._api("trust", name), results.TrustedKeys)

    def import_state(self, import_id: str) -> results.Import:
        """Where an import stands. Raises NotFound for one the server does not remember."""
        return self._connection.call("GET", self._api("imports", import_id), results.Import)

    def wait_for_import(
        self, running: results.Import, progress: Progress | None = None
    ) -> results.Version:
        """Waits until an import ends, and returns its version; the server limits how long it takes.

        Raises the error the import failed with.
        """
        pause_s = FIRST_POLL_S
        while running.state == "running":
            if progress is not None:
                progress(running.stage, running.progress)
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, LONGEST_POLL_S)
            running = self.import_state(running.id)
        if running.error is not None:
            raise error_of_kind(running.error.kind, running.error.error)
        if running.version is None:
            raise Internal(f"import {running.id} ended as '{running.state}' without a version")
        return self.version(running.model, running.version)

    def deploy(
        self,
        name: str,
        version: int,
        default: bool = True,
        timeout_s: float = DEPLOYMENT_TIMEOUT_S,
    ) -> results.Deployment:
        """Loads a version into every engine, then makes it the default if `default`.

        Returns when it serves. Raises Unprocessable when it cannot be loaded, and then nothing has
        changed; NotReady when no engine runs.
        """
        return self._connection.call(
            "POST",
            self._api("models", name, "deployments"),
            results.Deployment,
            body={"version": version, "default": default},
            timeout_s=max(timeout_s, self._timeout_s),
        )

    def undeploy(self, name: str, version: int) -> results.Deployment:
        """Takes a version out of the engines. Raises Conflict for the default or an aliased one."""
        url = self._api("models", name, "deployments", version)
        return self._connection.call("DELETE", url, results.Deployment)

    def set_alias(self, name: str, alias: str, version: int) -> results.Model:
        """Points an alias at a deployed version. Raises Conflict when it is not deployed."""
        url = self._api("models", name, "aliases", alias)
        return self._connection.call("PUT", url, results.Model, body={"version": version})

    def remove_alias(self, name: str, alias: str) -> results.Model:
        """Removes an alias. Raises NotFound."""
        url = self._api("models", name, "aliases", alias)
        return self._connection.call("DELETE", url, results.Model)

    def set_serving(self, name: str, policy: Mapping[str, Any]) -> results.Model:
        """Decides how a model is served, in every engine; what is left out has its default.

        `policy` is such as `{"cache": {"ttl_s": 60, "stale_if_error_s": 600}}`. Raises NotFound,
        and InvalidArgument for what is not known.
        """
        url = self._api("models", name, "serving")
        return self._connection.call("PUT", url, results.Model, body=dict(policy))

    def _beside(
        self, what: str, source: Source | None, progress: Progress | None
    ) -> results.Artifact | None:
        if source is None:
            return None
        told = progress and (lambda stage, share: progress(f"{stage} the {what}", share))
        return self.upload(source, told)
