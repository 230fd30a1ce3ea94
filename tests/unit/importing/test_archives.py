"""Archives as strangers send them: what is refused leaves nothing outside the folder."""

import gzip
import hashlib
import io
import struct
import subprocess
import sys
import tarfile
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from augurium.core.errors import AuguriumError, TooLarge, Unprocessable
from augurium.importing.archive_target import ArchiveLimits
from augurium.importing.archives import is_archive, unpack

Tree = dict[str, str]
SMALL = ArchiveLimits(members=100, bytes=100_000)


def tree(folder: Path) -> Tree:
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        )
        for path in sorted(folder.rglob("*"))
    }


class Place:
    """A folder to unpack into, with neighbours that must not change."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "staging" / "work"
        self.folder.mkdir(parents=True)
        (root / "neighbour").write_text("unchanged")
        self._before = self._outside()

    def unpack(self, content: bytes, limits: ArchiveLimits = SMALL) -> Tree:
        with tempfile.NamedTemporaryFile() as stream:
            stream.write(content)
            stream.flush()
            try:
                unpack(Path(stream.name), self.folder, limits)
            finally:
                assert self._outside() == self._before
                assert not any(path.is_symlink() for path in self.folder.rglob("*"))
        return tree(self.folder)

    def _outside(self) -> Tree:
        inside = str(self.folder.relative_to(self.root)) + "/"
        return {name: what for name, what in tree(self.root).items() if not name.startswith(inside)}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def member(name: str, content: bytes = b"x", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in fields.items():
        setattr(info, field, value)
    return info, content


def tar(*members: tuple[tarfile.TarInfo, bytes], kind: int = tarfile.GNU_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def zipped(*names: str, content: bytes = b"x", method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", method) as archive:
        # about names that come twice
        warnings.simplefilter("ignore")
        for name in names:
            info = zipfile.ZipInfo("placeholder")
            info.filename = info.orig_filename = name
            info.compress_type = method
            archive.writestr(info, content)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_files_and_folders_of_a_tar_come_out(kind: int, place: Place) -> None:
    long = "folder/" + "n" * 200 if kind != tarfile.USTAR_FORMAT else "folder/" + "n" * 90
    content = tar(
        member("./", b"", type=tarfile.DIRTYPE),
        member("./MLmodel", b"flavors: {}", mode=0o4777, uid=0, mtime=1.5),
        member("empty/", b"", type=tarfile.DIRTYPE),
        member("data/model.onnx", bytes(5000)),
        member(long, b"long"),
        member("caf\u00e9", b"drink"),
        kind=kind,
    )
    found = place.unpack(content)
    assert set(found) == {
        "MLmodel", "empty", "data", "data/model.onnx", "folder", long, "caf\u00e9"
    }  # fmt: skip
    assert (place.folder / "data/model.onnx").read_bytes() == bytes(5000)
    assert (place.folder / "MLmodel").stat().st_mode & 0o7777 == 0o600


def test_a_gzipped_tar_comes_out(place: Place) -> None:
    assert set(place.unpack(gzip.compress(tar(member("a/b"))))) == {"a", "a/b"}


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_a_zip_comes_out(method: int, place: Place) -> None:
    content = zipped("a/", "a/b", "caf\u00e9", content=b"", method=method)
    assert set(place.unpack(content)) == {"a", "a/b", "caf\u00e9"}


def test_a_zip_written_to_a_pipe_comes_out(place: Place) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError("a pipe has no position")

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:
        archive.writestr("a", b"content")
    assert set(place.unpack(pipe.getvalue())) == {"a"}


UNSAFE = [
    "../x", "a/../../x", "/x", "//x", "a//b", "a/./b", "..", "C:\\x", "C:x", "a\\..\\x", "a\x00b",
    "a\nb", "a\x1b[31m", "n" * 256, "/".join("d" * 40), "n/" * 600 + "n", "a.", "a /b", "x\u202ey",
]  # fmt: skip


# a tar header ends a name at its first NUL
@pytest.mark.parametrize("name", [name for name in UNSAFE if "\x00" not in name])
def test_a_name_that_is_not_plain_is_refused_in_a_tar(name: str, place: Place) -> None:
    with pytest.raises(Unprocessable):
        place.unpack(tar(member("fine"), member(name), kind=tarfile.PAX_FORMAT))
    with pytest.raises(Unprocessable):
        place.unpack(tar(member("first"), member(name)))


@pytest.mark.parametrize("name", UNSAFE)
def test_a_name_that_is_not_plain_is_refused_in_a_zip(name: str, place: Place) -> None:
    with pytest.raises(Unprocessable):
        place.unpack(zipped("fine", name))


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE,
        tarfile.GNUTYPE_SPARSE, b"V", b"Z",
    ],
)  # fmt: skip
@pytest.mark.parametrize("target", ["../../neighbour", "/etc/passwd", "fine"])
def test_what_is_neither_file_nor_folder_is_refused_in_a_tar(
    kind: bytes, target: str, place: Place
) -> None:
    with pytest.raises(Unprocessable, match="only files and folders"):
        place.unpack(tar(member("fine"), member("x", b"", type=kind, linkname=target)))


def test_a_link_is_refused_in_a_zip(place: Place) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(Unprocessable, match="is a link"):
        place.unpack(buffer.getvalue())


@pytest.mark.parametrize(
    "names",
    [
        ("a", "a"), ("a", "A"), ("stra\u00dfe", "strasse"), ("caf\u00e9", "cafe\u0301"),
        ("a", "a/b"), ("a/b", "a"), ("A/x", "a/y"), ("a/", "a/"), ("a/", "a"), ("./a", "a"),
        ("a", "a/"),
    ],
)  # fmt: skip
def test_names_that_are_the_same_somewhere_are_refused(
    names: tuple[str, str], place: Place, tmp_path: Path
) -> None:
    members = [
        member(name, b"", type=tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE)
        for name in names
    ]
    with pytest.raises(Unprocessable, match="same name"):
        place.unpack(tar(*members))
    (tmp_path / "other").mkdir()
    with pytest.raises(Unprocessable, match="same name"):
        Place(tmp_path / "other").unpack(zipped(*names, content=b""))


@pytest.mark.parametrize("count", [100, 101])
def test_members_are_counted(count: int, place: Place) -> None:
    names = [f"m{number}" for number in range(count)]
    contents = (tar(*(member(name) for name in names)), zipped(*names))
    for content, root in zip(contents, ("one", "other"), strict=True):
        (place.root / root).mkdir()
        unpacked = Place(place.root / root)
        if count <= SMALL.members:
            assert len(unpacked.unpack(content)) == count
        else:
            with pytest.raises(TooLarge, match="at most 100 are allowed"):
                unpacked.unpack(content)


def test_a_million_members_are_refused_before_they_are_listed(place: Place) -> None:
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 46, 4, 0)
    zip64 = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 10**6, 10**6, 46, 4)
    with pytest.raises(TooLarge, match="1000000 members"):
        place.unpack(b"PK\x03\x04" + bytes(46) + zip64 + end)


@pytest.mark.parametrize("size", [100_000, 100_001])
def test_bytes_are_counted(size: int, place: Place) -> None:
    content = tar(member("a", bytes(60_000)), member("b", bytes(size - 60_000)))
    if size <= SMALL.bytes:
        assert len(place.unpack(content)) == 2
    else:
        with pytest.raises(TooLarge, match="more than 100000 bytes"):
            place.unpack(content)


def gzipped(*parts: tuple[bytes, int]) -> bytes:
    """Pieces, each so many times, in gzip; never held whole."""
    buffer = io.BytesIO()
    with gzip.GzipFile(fileobj=buffer, mode="w", compresslevel=1) as stream:
        for piece, count in parts:
            for _ in range(count):
                stream.write(piece)
    return buffer.getvalue()


MEBIBYTE = 1024**2
ONE_HEADER = tar(member("bomb", bytes(40 * MEBIBYTE)))[:512]
PAX_HEADER = member("x", pax_headers={"comment": "c" * 60_000})[0].tobuf(tarfile.PAX_FORMAT)[:-512]
BOMBS = {
    "one large member": gzipped((ONE_HEADER, 1), (bytes(MEBIBYTE), 40)),
    "many members": gzip.compress(tar(*(member(str(n), bytes(MEBIBYTE)) for n in range(40))), 1),
    "nothing but zeros behind its end": gzipped((bytes(MEBIBYTE), 40)),
    "headers of members that never come": gzipped((PAX_HEADER, 700)),
    "one member of a zip": zipped("bomb", content=bytes(40 * MEBIBYTE)),
    "many members of a zip": zipped("a", "b", "c", "d", content=bytes(12 * MEBIBYTE)),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_an_archive_that_unpacks_to_far_more_than_it_is_is_refused_in_time(
    bomb: bytes, place: Place
) -> None:
    with pytest.raises(TooLarge, match="more than 100 times its size"):
        place.unpack(bomb, ArchiveLimits(members=10**9, bytes=10**9))
    written = sum(file.stat().st_size for file in place.folder.rglob("*") if file.is_file())
    assert written <= 17 * MEBIBYTE


def test_a_disk_without_room_is_said_so(tmp_path: Path) -> None:
    """A limit on the size of files stands for it."""
    (tmp_path / "upload").write_bytes(tar(member("a", bytes(100_000))))
    (tmp_path / "folder").mkdir()
    program = (
        "import resource, signal, sys\n"
        "from pathlib import Path\n"
        "from augurium.core.errors import InsufficientStorage\n"
        "from augurium.importing.archives import unpack\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try: unpack(Path('upload'), Path('folder'))\n"
        "except InsufficientStorage as error: print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert "free some space" in done.stdout, done.stderr


def test_a_zip_that_describes_a_member_in_two_ways_is_refused(place: Place) -> None:
    content = zipped("good", content=b"payload", method=zipfile.ZIP_STORED)
    assert content[30:34] == b"good"
    changes = {
        "name": content[:30] + b"evil" + content[34:],
        "size": content[:22] + struct.pack("<I", 3) + content[26:],
        "method": content[:8] + struct.pack("<H", 8) + content[10:],
        "checksum": content[:14] + struct.pack("<I", 1) + content[18:],
    }
    for change, changed in changes.items():
        with pytest.raises(Unprocessable):
            place.unpack(changed)
        assert not tree(place.folder), change


def test_members_that_share_bytes_are_refused(place: Place) -> None:
    content = zipped("a", "b", content=b"same", method=zipfile.ZIP_STORED)
    directory = content.rindex(b"PK\x01\x02")
    # the second member says that it begins where the first does
    changed = content[: directory + 42] + struct.pack("<I", 0) + content[directory + 46 :]
    with pytest.raises(Unprocessable, match="overlap"):
        place.unpack(changed)


def test_an_encrypted_member_is_refused(place: Place) -> None:
    content = bytearray(zipped("a"))
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    with pytest.raises(Unprocessable, match="encrypted"):
        place.unpack(bytes(content))


def test_damage_is_noticed(place: Place) -> None:
    content = tar(member("a", bytes(3000)))
    flipped = bytearray(gzip.compress(content))
    flipped[-6] ^= 1
    wrong_checksum = bytearray(content)
    wrong_checksum[0] ^= 1
    cut_zip = zipped("a")[:-30]
    for damaged in (content[:2000], content[:512], bytes(flipped), bytes(wrong_checksum), cut_zip):
        with pytest.raises(Unprocessable):
            Place(Path(tempfile.mkdtemp(dir=place.root))).unpack(damaged)


def test_more_behind_the_end_is_refused(place: Place) -> None:
    with pytest.raises(Unprocessable, match="goes on after its end"):
        place.unpack(tar(member("a")) + tar(member("b")))


def test_a_header_that_speaks_for_all_members_is_refused(place: Place) -> None:
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT, pax_headers={"path": "../x"}
    ) as archive:
        archive.addfile(*_open(member("a")))
    with pytest.raises(Unprocessable, match="all its members at once"):
        place.unpack(buffer.getvalue())


@pytest.mark.parametrize("keyword", ["GNU.sparse.name", "linkpath"])
def test_pax_words_that_change_what_a_member_is_are_refused(keyword: str, place: Place) -> None:
    info, content = member("a")
    info.pax_headers = {keyword: "../x"}
    with pytest.raises(Unprocessable, match="only files and folders"):
        place.unpack(tar((info, content), kind=tarfile.PAX_FORMAT))


@pytest.mark.parametrize("content", [b"", b"no archive", b"\x1f\x8b" + b"junk" * 20, bytes(2000)])
def test_what_is_no_archive_is_refused(content: bytes, place: Place) -> None:
    with pytest.raises(Unprocessable):
        place.unpack(content)


def test_archives_are_told_from_other_files(tmp_path: Path) -> None:
    file = tmp_path / "upload"
    contents = {tar(member("a")): True, zipped("a"): True, gzip.compress(b""): True, b"{}": False}
    for content, expected in contents.items():
        file.write_bytes(content)
        assert is_archive(file) is expected


def _open(made: tuple[tarfile.TarInfo, bytes]) -> tuple[tarfile.TarInfo, io.BytesIO]:
    return made[0], io.BytesIO(made[1])


PARTS = st.sampled_from(["..", ".", "", "a", "B", "\u00e9", "e\u0301", "x" * 300, "C:", "\\", "/"])
NAMES = st.one_of(
    st.lists(PARTS, min_size=1, max_size=5).map("/".join), st.text(min_size=1, max_size=40)
).filter(lambda name: "\x00" not in name and not any("\ud800" <= c <= "\udfff" for c in name))
MAKERS: list[Callable[[list[str]], bytes]] = [
    lambda names: tar(*map(member, names), kind=tarfile.PAX_FORMAT),
    lambda names: tar(*map(member, names)),
    lambda names: zipped(*names),
]


@given(names=st.lists(NAMES, max_size=5), maker=st.sampled_from(MAKERS))
@settings(max_examples=300)
def test_no_name_ever_leads_outside(names: list[str], maker: Callable[[list[str]], bytes]) -> None:
    with tempfile.TemporaryDirectory() as root:
        place = Place(Path(root))
        try:
            found = place.unpack(maker(names))
        except AuguriumError:
            return
        files = {name for name, what in found.items() if what != "folder"}
        assert files == {name.removeprefix("./") for name in names if not name.endswith("/")}


@given(content=st.binary(max_size=2000), place=st.integers(0, 3000), kind=st.integers(0, 2))
@settings(max_examples=300)
def test_no_damage_causes_anything_but_a_refusal(content: bytes, place: int, kind: int) -> None:
    sound = MAKERS[kind](["a/b", "c"])
    damaged = sound[:place] + content + sound[place + len(content) :]
    with tempfile.TemporaryDirectory() as root:
        try:
            Place(Path(root)).unpack(damaged)
        except AuguriumError:
            return
