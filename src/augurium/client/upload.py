"""An upload: any source, sent in pieces so that memory stays flat."""

from collections.abc import Callable, Iterator

from augurium.client.sources import Source, open_source

__all__ = ["Progress", "Source", "Upload"]

Progress = Callable[[str, float], None]


class Upload:
    """What is sent, and how large it is: None when that shows at the end only.

    Raises what `open_source` raises.
    """

    def __init__(self, source: Source) -> None:
        self._content = open_source(source)
        self.name = self._content.name
        self.size_bytes = self._content.size_bytes

    def chunks(self, progress: Progress | None = None) -> Iterator[bytes]:
        """The content in pieces; `progress` gets the stage `uploading` and the fraction sent."""
        sent_bytes = 0
        for chunk in self._content.chunks():
            yield chunk
            sent_bytes += len(chunk)
            if progress is not None and self.size_bytes:
                progress("uploading", min(1.0, sent_bytes / self.size_bytes))
