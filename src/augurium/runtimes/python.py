"""Python functions: a file of cloudpickle, run in a runner and never in an engine.

Loading the file runs its code. The function takes a dict of arrays by input name, all with the same
number of rows, and returns a dict of arrays by output name, or the array alone when there is one
output; each has a row per input row. One that returns an iterator of such answers, as generator
functions do, is streamed. There are no options.
"""

import inspect
import pickle
import threading
import traceback
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

# what a function refers to may have been pickled by parts of it
import cloudpickle  # noqa: F401
import numpy as np

from augurium.core.errors import InvalidArgument, ModelFailed
from augurium.core.tensors import Array

MESSAGE_CHARACTERS = 500
# a streamed function may also take what a request says beside its tensors, under this name
PARAMETERS = "parameters"
# a stream that waits for its turn says so this often
WAITING_S = 1.0


class PythonModel:
    """One function. Its runs, and the steps of its streams, come one after another: it need not be
    ready for more.
    """

    def __init__(self, path: Path, options: Mapping[str, str]) -> None:
        if options:
            raise InvalidArgument(f"Python functions take no options, got {', '.join(options)}")
        try:
            with path.open("rb") as stream:
                # registered by permission of the server's owner, and this process is a runner
                function = pickle.load(stream)  # noqa: S301
        except Exception as error:  # unpickling runs whatever the file holds
            raise ModelFailed(
                f"the Python function cannot be loaded: {_said(error)}; it needs the packages it"
                " was made with"
            ) from error
        if not callable(function):
            raise ModelFailed(f"the file holds a {type(function).__name__}, expected a function")
        self._function = function
        self._takes_parameters = takes_parameters(function)
        self._turn = threading.Lock()

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        with self._turn:
            found = self._call(inputs, {})
        if isinstance(found, Iterator):
            raise ModelFailed("the function returned an iterator, expected one answer")
        return [_array(value) for value in _in_order(found, outputs)]

    def stream(
        self, inputs: Mapping[str, Array], outputs: Sequence[str], parameters: Mapping[str, Any]
    ) -> Generator[list[Array], None, None]:
        yield from self._until_its_turn()
        try:
            answers = self._call(inputs, parameters)
        finally:
            self._turn.release()
        if not isinstance(answers, Iterator):
            raise ModelFailed(
                f"the function returned a {type(answers).__name__}, expected an iterator of answers"
            )
        try:
            while True:
                yield from self._until_its_turn()
                try:
                    found = next(answers)
                except StopIteration:
                    return
                except Exception as error:  # the function is a stranger's
                    raise ModelFailed(f"the function failed: {_said(error)}") from error
                finally:
                    self._turn.release()
                yield [_array(value) for value in _in_order(found, outputs)]
        finally:
            self._close(answers)

    def _call(self, inputs: Mapping[str, Array], parameters: Mapping[str, Any]) -> Any:
        told = {PARAMETERS: dict(parameters)} if self._takes_parameters else {}
        try:
            return self._function(dict(inputs), **told)
        except Exception as error:  # the function is a stranger's
            raise ModelFailed(f"the function failed: {_said(error)}") from error

    def _until_its_turn(self) -> Generator[list[Array], None, None]:
        while not self._turn.acquire(timeout=WAITING_S):
            yield []

    def _close(self, answers: Iterator[Any]) -> None:
        close = getattr(answers, "close", None)
        if close is None:
            return
        with self._turn:
            try:
                close()
            except Exception:  # the caller has its answers or has left; the log is who can be told
                traceback.print_exc()


def takes_parameters(function: Any) -> bool:
    """Whether a function wants to be told the parameters of a request."""
    try:
        return PARAMETERS in inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False


def _in_order(found: Any, outputs: Sequence[str] | None) -> list[Any]:
    if not isinstance(found, Mapping):
        if outputs is not None and len(outputs) != 1:
            raise ModelFailed(
                f"the function returned one {type(found).__name__}, expected a dict with"
                f" {', '.join(outputs)}"
            )
        return [found]
    names = list(found) if outputs is None else outputs
    missing = [name for name in names if name not in found]
    if missing:
        raise ModelFailed(
            f"the function returned {', '.join(map(str, found))}, expected also"
            f" {', '.join(missing)}"
        )
    return [found[name] for name in names]


def _array(value: Any) -> Array:
    array = np.asarray(value)
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8")
    if array.dtype.kind == "U":
        return array.astype(np.object_)
    if array.dtype.kind == "O" and not all(v is None or type(v) is str for v in array.flat):
        raise ModelFailed("the function returned objects, expected numbers or texts (str)")
    return array


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:MESSAGE_CHARACTERS]
