"""Python functions: a file of cloudpickle, run in a runner and never in an engine.

Loading the file runs its code. The function takes a dict of arrays by input name, all with the same
number of rows, and returns a dict of arrays by output name, or the array alone when there is one
output; each has a row per input row. One that returns an iterator of such answers, as generator
functions do, is streamed. One that has an argument `parameters` or `params` is told what a request
says beside its tensors, as a dict. There are no options.
"""

import inspect
import pickle
import threading
import traceback
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

# what a function refers to may have been pickled by parts of it
import cloudpickle  # noqa: F401
import numpy as np

from augurium.core.errors import InvalidArgument, ModelFailed
from augurium.core.tensors import Array
from augurium.core.texts import text_of

MESSAGE_CHARACTERS = 500
# a function may also take what a request says beside its tensors, under one of these names
PARAMETERS = ("parameters", "params")
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
        self._parameters_name = parameters_name(function)
        self._turn = threading.Lock()

    def run(self, inputs: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        return self.run_with(inputs, outputs, {})

    def run_with(
        self,
        inputs: Mapping[str, Array],
        outputs: Sequence[str] | None,
        parameters: Mapping[str, Any],
    ) -> list[Array]:
        with self._turn:
            found = self._call(inputs, parameters)
        if isinstance(found, Iterator):
            raise ModelFailed("the function returned an iterator, expected one answer")
        return [_array(value) for value in _in_order(found, outputs)]

    def stream(
        self,
        inputs: Mapping[str, Array],
        outputs: Sequence[str],
        parameters: Mapping[str, Any],
        begins: Callable[[], None] | None = None,
    ) -> Generator[list[Array], None, None]:
        yield from self._until_its_turn()
        try:
            if begins is not None:
                begins()
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
        told = {self._parameters_name: dict(parameters)} if self._parameters_name else {}
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


def parameters_name(function: Any) -> str | None:
    """The argument under which a function wants to be told the parameters of a request; None if it
    does not.
    """
    try:
        arguments = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return None
    # the first argument is the inputs, whatever it is called
    return next((name for name in list(arguments)[1:] if name in PARAMETERS), None)


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
    if array.dtype.kind in "SU":
        array = array.astype(np.object_)
    if array.dtype.kind != "O":
        return array
    kinds = set(map(type, array.ravel().tolist()))
    if not kinds <= {str, bytes, type(None)}:
        raise ModelFailed("the function returned objects, expected numbers, texts (str) or bytes")
    if bytes not in kinds:
        return array
    found = np.empty(array.size, np.object_)
    found[:] = [text_of(v) if isinstance(v, bytes) else v for v in array.ravel().tolist()]
    return found.reshape(array.shape)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:MESSAGE_CHARACTERS]
