"""What may stand wherever a file is expected: a path, a folder, a URI, or bytes.

The client opens it, with the user's own rights and credentials, and streams it to the server. A
server is never told a URL to fetch.
"""

import os
import re
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from augurium.client.content import BytesContent, Content, FileContent
from augurium.client.object_content import SCHEMES, object_content
from augurium.client.tar_stream import folder_content
from augurium.core.errors import InvalidArgument

Source = str | os.PathLike[str] | bytes | Content
MLFLOW = "mlflow:"
MLFLOW_FILE = "MLmodel"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/")
EXPECTED = (
    "a path, a folder, s3://bucket/key, gs://bucket/key, az://container/key, https://..., or "
    "mlflow:FOLDER"
)


def open_source(source: Source) -> Content:
    """The content of a source; nothing but its size is read yet.

    A folder, and all objects below a prefix, become one tar. Raises InvalidArgument for what is
    none of these, NotFound, and NotReady when a store does not answer.
    """
    if isinstance(source, bytes):
        return BytesContent(source)
    if isinstance(source, Content):
        return source
    text = os.fspath(source)
    if isinstance(source, str):
        if text.startswith(MLFLOW) and not text.startswith(f"{MLFLOW}//"):
            return _mlflow(text.removeprefix(MLFLOW))
        if scheme := _SCHEME.match(text):
            return _of_uri(scheme.group(1).lower(), text)
    return _of_path(Path(text))


def check_source(text: str) -> None:
    """Refuses, without a connection, what `open_source` would: a path where nothing is, an address
    of a kind that is not known. Raises InvalidArgument.
    """
    if text.startswith(MLFLOW) or not (scheme := _SCHEME.match(text)):
        path = Path(text.removeprefix(MLFLOW))
        if not path.exists():
            raise InvalidArgument(f"{path} does not exist; expected {EXPECTED}")
    elif scheme.group(1).lower() not in (*SCHEMES, "http", "https"):
        _of_uri(scheme.group(1).lower(), text)


def _of_uri(scheme: str, uri: str) -> Content:
    if scheme in SCHEMES:
        return object_content(uri)
    if scheme in ("http", "https"):
        # loaded here: most uploads are files
        from augurium.client.web_content import WebContent

        return WebContent(uri)
    if scheme == "file" and urlsplit(uri).netloc in ("", "localhost"):
        return _of_path(Path(url2pathname(urlsplit(uri).path)))
    if scheme in ("runs", "models", "mlflow-artifacts"):
        raise InvalidArgument(
            f"'{uri[:200]}' is an address inside MLflow; fetch it with `mlflow artifacts download` "
            "and give the folder as mlflow:FOLDER"
        )
    raise InvalidArgument(f"'{scheme}:' is not a known kind of address; expected {EXPECTED}")


def _of_path(path: Path) -> Content:
    return folder_content(path) if path.is_dir() else FileContent(path)


def _mlflow(folder: str) -> Content:
    path = Path(folder)
    if not (path / MLFLOW_FILE).is_file():
        raise InvalidArgument(
            f"{path} is not a model of MLflow: expected a folder that holds a file {MLFLOW_FILE}"
        )
    return folder_content(path)
