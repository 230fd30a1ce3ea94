"""The archives of `torch.export.save`: what may be in one before PyTorch reads it.

`torch.export.load` is no safe loader (PyTorch 2.13): it falls back to a full unpickling of the
sample inputs, unpickles weights that say so, evaluates symbolic shapes as Python, looks operators
up by dotted name and compiles names into source code. Each of these is checked here first, and
`rewrite` leaves one archive with one meaning: only what was checked, under one name each.
"""

import io
import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from augurium.core.errors import Unprocessable

PROGRAM = "models/model.json"
SAMPLES = "data/sample_inputs/model.pt"
PAYLOADS = {
    "data/weights/model_weights_config.json": re.compile(r"weight_\d+"),
    "data/constants/model_constants_config.json": re.compile(r"tensor_\d+"),
}
MARKS = frozenset({"archive_format", "archive_version", "byteorder", ".data/version"})
# written by PyTorch, read by nobody; files of the owner's own
DROPPED = (".data/serialization_id", "extra/")
MAX_JSON_BYTES = 256 * 1024 * 1024
MAX_EXPRESSION = 4096
CHUNK_BYTES = 1024 * 1024

NAME = re.compile(r"[\w.]*")
IDENTIFIER = re.compile(r"[A-Za-z_]\w*")
NAMES = frozenset(
    {
        "name",
        "parameter_name",
        "buffer_name",
        "tensor_constant_name",
        "user_input_name",
        "class_fqn",
        "fqn",
        "module_name",
    }
)
# containers of values by their names
NAMED = frozenset({"tensor_values", "sym_int_values", "sym_bool_values", "sym_float_values"})
SPECS = frozenset({"in_spec", "out_spec"})
FOREIGN = re.compile(r".*(custom_obj|opaque).*")
# a keyword cannot name an argument, and such a name would become part of source code
OPERATOR = re.compile(
    r"torch\.ops\.(aten|prims|quantized_decomposed)\.((?!__)\w+|__i?(and|or|xor|lshift|rshift)__)"
    r"\.(?!__)\w+"
    r"|torch\.ops\.higher_order\.(cond|while_loop|scan|map_impl|associative_scan|flex_attention"
    r"|wrap_with_set_grad_enabled|wrap_with_autocast)"
    r"|_operator\.(add|sub|mul|truediv|floordiv|mod|pow|neg|pos|abs|getitem|eq|ne|lt|le|gt|ge|and_"
    r"|or_|not_|xor|lshift|rshift)"
    r"|math\.(ceil|floor|trunc|sqrt|log|exp|pow)"
    r"|torch\._?sym_[a-z0-9_]+"
)
READS_FILES = re.compile(r"torch\.ops\.aten\.(from_file|_?save|_?load)\w*\..*")
SYMBOL = re.compile(r"Symbol\('[suz]\w*'(, \w+=(True|False))*\)")
EXPRESSION = re.compile(r"([\w\s()+\-*/,<>=!&|~]|(?<=\d)\.(?=\d))*")
WORDS = re.compile(r"[A-Za-z_]\w*")
FUNCTIONS = (
    "FloorDiv ModularIndexing Where PythonMod Mod CleanDiv CeilToInt FloorToInt CeilDiv LShift "
    "RShift PowByNatural FloatPow FloatTrueDiv IntTrueDiv TruncToFloat TruncToInt RoundToInt "
    "RoundDecimal ToFloat Identity IsNonOverlappingAndDenseIndicator Max Min Eq Ne Lt Le Gt Ge And "
    "Or Not Integer Float Rational Add Mul Pow True False oo int_oo"
)
KNOWN_WORDS = frozenset(FUNCTIONS.split(" "))
SYMBOL_NAME = re.compile(r"[suz]\w*\d+")
CONTAINERS = frozenset(
    {None, "builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"}
)
AGAIN = (
    "save it again: torch.export.save(torch.export.export(model, example_inputs), 'model.pt2') "
    "with PyTorch 2.9 or later"
)


def is_archive(names: set[str]) -> bool:
    """Whether the members of a zip file are those of an exported program, of any version."""
    return any(name.endswith(("/" + PROGRAM, "serialized_exported_program.json")) for name in names)


def rewrite(source: Path, target: Path) -> None:
    """Checks an exported program and writes what was checked.

    Raises Unprocessable for content that would run code or read files, for layouts of old
    versions, and for damage.
    """
    try:
        with zipfile.ZipFile(source) as archive:
            members = _members(archive)
            edited = {name: _checked(archive, members, name) for name in (PROGRAM, *PAYLOADS)}
            _check_samples(archive.read(members[SAMPLES]))
            with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as written:
                for name, member in members.items():
                    _copy(archive, member, written, f"model/{name}", edited.get(name))
    except (zipfile.BadZipFile, NotImplementedError, ValueError, EOFError, KeyError) as error:
        raise Unprocessable(f"the .pt2 file is damaged ({error}); {AGAIN}") from error


def _copy(
    archive: zipfile.ZipFile,
    member: zipfile.ZipInfo,
    written: zipfile.ZipFile,
    name: str,
    content: bytes | None,
) -> None:
    entry = zipfile.ZipInfo(name)
    if content is not None:
        written.writestr(entry, content)
        return
    with archive.open(member) as reader, written.open(entry, "w", force_zip64=True) as writer:
        while chunk := reader.read(CHUNK_BYTES):
            writer.write(chunk)


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The members by their names below the folder of the archive, the known ones only."""
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.partition("/")[2]
        if name.startswith(DROPPED):
            continue
        known = name in (PROGRAM, SAMPLES, *PAYLOADS, *MARKS) or _is_payload(name)
        if not known or name in found:
            raise Unprocessable(
                f"the .pt2 file holds {member.filename[:80]!r}, which is not part of a plain "
                f"exported program; compiled code, custom objects and old layouts are refused: "
                f"{AGAIN}"
            )
        found[name] = member
    missing = {PROGRAM, SAMPLES, *PAYLOADS} - found.keys()
    if missing:
        raise Unprocessable(f"the .pt2 file lacks {sorted(missing)}; {AGAIN}")
    return found


def _is_payload(name: str) -> bool:
    folder, _, last = name.rpartition("/")
    return any(
        config.startswith(folder + "/") and pattern.fullmatch(last)
        for config, pattern in PAYLOADS.items()
    )


def _checked(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str) -> bytes:
    """One of the JSON parts after its check, without the parts that are only notes."""
    if members[name].file_size > MAX_JSON_BYTES:
        raise Unprocessable(f"{name} of the .pt2 file is larger than {MAX_JSON_BYTES} bytes")
    try:
        content = json.loads(archive.read(members[name]))
        _check(content)
    except RecursionError as error:
        raise Unprocessable(f"{name} of the .pt2 file nests too deeply; {AGAIN}") from error
    if name == PROGRAM:
        # guards only repeat what shapes and ranges say; they are compiled as source code
        content["guards_code"] = []
        if content["graph_module"].get("treespec_namedtuple_fields"):
            raise _refused("named tuples", "return a tuple or a dict of tensors")
    else:
        for weight, payload in content["config"].items():
            _check_name(weight, NAME)
            _check_payload(payload, PAYLOADS[name])
    return json.dumps(content).encode()


def _check_payload(payload: dict[str, Any], pattern: re.Pattern[str]) -> None:
    if payload.get("use_pickle") or not pattern.fullmatch(str(payload.get("path_name"))):
        raise _refused(
            "weights or constants as pickles or custom objects", "make them plain tensors"
        )


def _check(content: Any) -> None:
    for key, value in _entries(content):
        if key in ("target", "as_operator"):
            _check_operator(value)
        elif key == "expr_str":
            _check_expression(value)
        elif key in SPECS:
            _check_spec(value)
        elif key in NAMES:
            _check_name(value, NAME)
        elif key == "forward_arg_names":
            for name in value or ():
                _check_name(name, IDENTIFIER)
        elif key in NAMED:
            for name in value:
                _check_name(name, IDENTIFIER)
        elif FOREIGN.fullmatch(key) and value:
            raise _refused("custom objects", "make them plain tensors")
        elif key == "metadata" and isinstance(value, dict):
            # traces of the source code, with the paths of their machine
            value.clear()


def _entries(content: Any) -> Iterator[tuple[str, Any]]:
    """All keys of all objects, in depth, with their values."""
    if isinstance(content, dict):
        for key, value in content.items():
            yield key, value
            yield from _entries(value)
    elif isinstance(content, list):
        for value in content:
            yield from _entries(value)


def _check_operator(name: Any) -> None:
    if name is None or isinstance(name, dict):
        # the target of a user's buffer is a dict of names, which are checked by themselves
        return
    if not OPERATOR.fullmatch(str(name)) or READS_FILES.fullmatch(str(name)):
        raise _refused(
            f"the operator {str(name)[:80]!r}",
            "use PyTorch's own operators; libraries of custom operators are never loaded",
        )


def _check_expression(text: Any) -> None:
    rest = SYMBOL.sub("s0", str(text)[: MAX_EXPRESSION + 1])
    words = set(WORDS.findall(rest))
    unknown = {word for word in words - KNOWN_WORDS if not SYMBOL_NAME.fullmatch(word)}
    if len(str(text)) > MAX_EXPRESSION or unknown or not EXPRESSION.fullmatch(rest):
        raise _refused(f"the symbolic shape {str(text)[:80]!r}", "export the model again")


def _check_spec(text: Any) -> None:
    """The nesting of inputs or outputs: tuples, lists and dicts of tensors."""
    if text:
        for key, value in _entries(json.loads(text)):
            if key == "type" and value not in CONTAINERS:
                raise _refused(
                    f"inputs or outputs as {str(value)[:80]!r}",
                    "take and return tensors, tuples, lists or dicts of tensors",
                )
            if key == "context" and value is not None:
                _check_context(json.loads(value))


def _check_context(keys: Any) -> None:
    plain = isinstance(keys, list) and all(isinstance(key, str | int) for key in keys)
    if keys is not None and not plain:
        raise _refused("inputs or outputs with keys that are not names", "name them by strings")


def _check_name(name: Any, pattern: re.Pattern[str]) -> None:
    if name is not None and not pattern.fullmatch(str(name)):
        raise _refused(f"the name {str(name)[:80]!r}", "use letters, digits and underscores")


def _check_samples(content: bytes) -> None:
    import torch

    try:
        torch.load(io.BytesIO(content), weights_only=True)
    except Exception as error:  # the unpickler raises what it likes for what it does not know
        raise _refused("sample inputs that are not plain tensors", AGAIN) from error


def _refused(what: str, remedy: str) -> Unprocessable:
    return Unprocessable(
        f"the .pt2 file holds {what}, which was refused because loading it could run code; {remedy}"
    )
