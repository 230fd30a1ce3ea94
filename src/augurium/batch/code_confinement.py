"""Models that are code of their own: their workers are kept from all but the files of their job."""

import re
from pathlib import Path

from augurium.batch.model_files import ModelFiles
from augurium.batch.stored_file import is_url
from augurium.batch.worker_start import Confinement
from augurium.core.batch_job import BatchSpec
from augurium.core.errors import InvalidArgument
from augurium.registry.records import Version

_GLOB = re.compile(r"[*?\[]")


def runs_code(version: Version) -> bool:
    """Whether loading or running the version runs what somebody wrote."""
    return version.runtime == "python" or version.options.get("format") == "pickle"


def check_reach(spec: BatchSpec, version: Version) -> None:
    """Raises InvalidArgument for a model that is code, and files that only a network leads to."""
    locations = (*spec.input.paths, spec.output.path)
    remote = next((location for location in locations if is_url(location)), None)
    if remote is not None and runs_code(version):
        raise InvalidArgument(
            f"{version.model}@{version.version} runs code of its own, which gets no network, so a"
            f" job with it cannot use {remote}; use folders of the server, or save the model in a"
            " format that is no code"
        )


def confinement_of(spec: BatchSpec, files: ModelFiles) -> Confinement:
    """The files of a job, all of this machine. Makes the folder of the output."""
    output = Path(spec.output.path)
    output.mkdir(parents=True, exist_ok=True)
    inputs = (_folder(path) for path in spec.input.paths)
    model = (path for path in (files.path, files.weights) if path)
    return Confinement((*inputs, *model), (str(output),))


def _folder(path: str) -> str:
    """What a path leads to, or the folder above all that a pattern does."""
    glob = _GLOB.search(path)
    return path if glob is None else path[: path.rfind("/", 0, glob.start()) + 1]
