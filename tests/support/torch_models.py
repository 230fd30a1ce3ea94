"""PyTorch modules of tests, and exported programs that were tampered with."""

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

ROWS = 4096


class Classifier(nn.Module):  # type: ignore[misc]
    """Features to probabilities and labels."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.LayerNorm(16), nn.Linear(16, 3))

    def forward(self, features: Any) -> dict[str, Any]:
        scores = self.layers(features)
        return {"probabilities": torch.softmax(scores, -1), "label": scores.argmax(-1)}


class Encoder(nn.Module):  # type: ignore[misc]
    """Token ids and a mask to two scores: a transformer."""

    norm_first = False

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(50, 32)
        layer = nn.TransformerEncoderLayer(
            32, 4, 64, batch_first=True, activation="gelu", norm_first=self.norm_first
        )
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(32, 2)

    def forward(self, ids: Any, mask: Any) -> Any:
        states = self.encoder(self.embedding(ids), src_key_padding_mask=mask == 0)
        weights = mask.unsqueeze(-1).to(states.dtype)
        return self.head((states * weights).sum(1) / weights.sum(1).clamp(min=1))


class NormFirst(Encoder):
    """In half precision its graph ends ONNX Runtime 1.32 at full optimisation, by a segfault."""

    norm_first = True


class Normalized(nn.Module):  # type: ignore[misc]
    """With batch normalization."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(8, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 2)
        )

    def forward(self, x: Any) -> Any:
        return self.layers(x)


class Branching(nn.Module):  # type: ignore[misc]
    """Decides by a value, as Python does."""

    def forward(self, x: Any) -> Any:
        return x * 2 if x.sum() > 0 else -x


class ByRow(nn.Module):  # type: ignore[misc]
    """Decides by a value, as PyTorch can export it."""

    def forward(self, x: Any) -> Any:
        return torch.where(x.sum(1, keepdim=True) > 0, x * 2, -x)


class Centering(nn.Module):  # type: ignore[misc]
    """Subtracts the mean over the rows, so that rows depend on each other."""

    def forward(self, x: Any) -> Any:
        return x - x.mean(0, keepdim=True)


def made(kind: type[nn.Module], dtype: torch.dtype = torch.float32) -> Any:
    """A module with the same random weights every time."""
    torch.manual_seed(0)
    return kind().to(dtype).eval()


def token_ids() -> tuple[Any, Any]:
    """Three texts of seven tokens, two of them shorter."""
    mask = torch.tensor([[1] * 7, [1] * 5 + [0] * 2, [1] * 3 + [0] * 4])
    return torch.randint(0, 50, (3, 7), generator=torch.Generator().manual_seed(0)), mask


def exported(module: Any, inputs: tuple[Any, ...], dynamic: bool = True) -> bytes:
    """A .pt2 file, made without our client; all dimensions of ids vary."""
    rows = torch.export.Dim("rows", min=1, max=ROWS)
    length = torch.export.Dim("length", min=2, max=512)
    shapes = tuple({0: rows, 1: length} if v.dtype == torch.int64 else {0: rows} for v in inputs)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            module, inputs, dynamic_shapes=shapes if dynamic else None, strict=False
        )
        torch.export.save(program, buffer)
    return buffer.getvalue()


def tampered(
    content: bytes,
    *,
    edit: Callable[[Any], None] | None = None,
    member: str = "models/model.json",
    replace: bytes | None = None,
    add: dict[str, bytes] | None = None,
) -> bytes:
    """The archive with one member edited (JSON) or replaced, and others added."""
    changed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as archive,
        zipfile.ZipFile(changed, "w") as written,
    ):
        for name in archive.namelist():
            held = archive.read(name)
            if name.endswith(member):
                if edit is not None:
                    parsed = json.loads(held)
                    edit(parsed)
                    held = json.dumps(parsed).encode()
                held = held if replace is None else replace
            written.writestr(name, held)
        root = archive.namelist()[0].partition("/")[0]
        for name, held in (add or {}).items():
            written.writestr(f"{root}/{name}", held)
    return changed.getvalue()
