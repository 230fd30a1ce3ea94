"""Keras and TensorFlow models of tests, saved as their owners save them."""

import contextlib
import io
import json
import os
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import keras
    import tensorflow as tensorflow

layers = keras.layers


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without TensorFlow's warnings of its own changes to come."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def sequential(*parts: Any) -> Any:
    """Layers one after the other, with the same random weights every time."""
    keras.utils.set_random_seed(0)
    return keras.Sequential(list(parts))


def classifier() -> Any:
    """Four features to three probabilities."""
    return sequential(
        layers.Input((4,), name="features"),
        layers.Dense(8, activation="relu"),
        layers.Dense(3, activation="softmax", name="scores"),
    )


def normalized() -> Any:
    """With statistics of the data in its first layer."""
    return sequential(
        layers.Input((4,), name="features"), _normalization(), layers.Dense(1, name="price")
    )


def of_all_kinds() -> Any:
    """Several inputs and outputs by name, each output of other layers and of one input."""
    keras.utils.set_random_seed(0)
    shapes = {"numbers": (4,), "days": (5, 3), "image": (8, 8, 1), "tokens": (6, 8), "right": (2,)}
    given = {name: keras.Input(shape, name=name) for name, shape in shapes.items()}
    attended = layers.MultiHeadAttention(2, 4)(given["tokens"], given["tokens"])
    outputs = {
        "normalized": layers.Dense(3)(_normalization()(given["numbers"])) + 1.0,
        "recurrent": layers.Dense(2)(layers.LSTM(4)(given["days"])),
        "convolutional": _convolutions(given["image"]),
        "attentive": layers.Dense(2)(layers.GlobalAveragePooling1D()(attended)),
        "operation": keras.ops.tanh(layers.Dense(1)(given["right"])),
    }
    return keras.Model(given, outputs)


def _normalization() -> Any:
    normalization = layers.Normalization()
    normalization.adapt(numbers(40, 4) * 3 + 1)
    return normalization


def _convolutions(image: Any) -> Any:
    for layer in (
        layers.Rescaling(1 / 255),
        layers.Conv2D(4, 3, activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dropout(0.1),
        layers.Dense(3, activation="softmax"),
    ):
        image = layer(image)
    return image


def of_texts() -> Any:
    """Looks cities up, which ONNX has no operator for."""
    return sequential(
        layers.Input((1,), dtype="string", name="city"),
        layers.StringLookup(vocabulary=["Bern", "Wien"]),
        layers.Embedding(4, 3),
        layers.Flatten(),
        layers.Dense(1, name="price"),
    )


def numbers(*shape: int) -> Any:
    return tensorflow.random.stateless_normal(shape, (1, 2)).numpy()


def answers(model: Any, *inputs: Any) -> Any:
    with quiet():
        return model(*[tensorflow.constant(given) for given in inputs], training=False)


def saved(model: Any, folder: Path) -> bytes:
    """The content of a .keras file."""
    with quiet():
        model.save(folder / "saved.keras")
    return (folder / "saved.keras").read_bytes()


def exported(model: Any, folder: Path) -> Path:
    """The folder of a SavedModel."""
    with quiet(), contextlib.redirect_stdout(io.StringIO()):
        model.export(folder / "exported", verbose=False)
    return folder / "exported"


def saved_module(call: Callable[..., Any], folder: Path, dtype: Any = tensorflow.float32) -> Path:
    """A SavedModel whose signature computes `call` of three numbers a row, `x`."""

    class Module(tensorflow.Module):  # type: ignore[misc]
        @tensorflow.function(  # type: ignore[untyped-decorator]
            input_signature=[tensorflow.TensorSpec((None, 3), dtype, name="x")]
        )
        def answer(self, x: Any) -> Any:
            return {"y": call(x)}

    module = Module()
    with quiet():
        tensorflow.saved_model.save(module, folder / "saved", signatures=module.answer)
    return folder / "saved"


def of_pictures(folder: Path) -> Path:
    """A SavedModel of encoded pictures, as classifiers of them take them: their mean colours, and
    the pictures again as PNG of 2 x 2.
    """

    def small(content: Any) -> Any:
        picture = tensorflow.io.decode_image(content, channels=3, expand_animations=False)
        picture.set_shape((None, None, 3))
        return tensorflow.image.resize(picture, (2, 2), method="area")

    class Module(tensorflow.Module):  # type: ignore[misc]
        @tensorflow.function(  # type: ignore[untyped-decorator]
            input_signature=[tensorflow.TensorSpec((None,), tensorflow.string, name="image_bytes")]
        )
        def answer(self, image_bytes: Any) -> Any:
            spec = tensorflow.TensorSpec((2, 2, 3), tensorflow.float32)
            pictures = tensorflow.map_fn(small, image_bytes, fn_output_signature=spec)
            pixels = tensorflow.cast(pictures, tensorflow.uint8)
            encoded = tensorflow.map_fn(
                tensorflow.io.encode_png, pixels, fn_output_signature=tensorflow.string
            )
            means = tensorflow.reduce_mean(pictures, (1, 2))
            return {"colours": means, "small_bytes": encoded, "small": encoded}

    module = Module()
    with quiet():
        tensorflow.saved_model.save(module, folder / "pictures", signatures=module.answer)
    return folder / "pictures"


def jpeg(red: int, green: int, blue: int) -> bytes:
    """A picture of one colour, 16 x 16."""
    pixels = tensorflow.fill((16, 16, 1), 0) + tensorflow.constant([red, green, blue])
    encoded = tensorflow.io.encode_jpeg(tensorflow.cast(pixels, tensorflow.uint8), quality=100)
    content: bytes = encoded.numpy()
    return content


def packed(folder: Path) -> bytes:
    """A folder as one tar file, as it is uploaded."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.add(folder, arcname=folder.name)
    return buffer.getvalue()


def edited(content: bytes, edit: Callable[[Any], None]) -> bytes:
    """A .keras file with another configuration."""
    changed = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as archive,
        zipfile.ZipFile(changed, "w") as written,
    ):
        for name in archive.namelist():
            held = archive.read(name)
            if name == "config.json":
                config = json.loads(held)
                edit(config)
                held = json.dumps(config).encode()
            written.writestr(name, held)
    return changed.getvalue()
