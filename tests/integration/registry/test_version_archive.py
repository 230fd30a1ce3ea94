"""Version archives between two stores: written, read, and everything that is refused."""

import base64
import io
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from augurium.core.clock import ManualClock
from augurium.core.errors import (
    InvalidArgument,
    NotFound,
    NotReady,
    PermissionDenied,
    TooLarge,
    Unprocessable,
)
from augurium.registry.memory_registry import MemoryRegistry
from augurium.registry.obstore_artifacts import ObstoreArtifacts
from augurium.registry.records import Artifact, Lineage, Version, VersionDraft
from augurium.registry.signing import SigningKeys
from augurium.registry.version_archive import OpenedArchive, VersionArchives

MIB = 1024 * 1024
SOURCE, SERVABLE = os.urandom(3_000_001), os.urandom(100_000)
Members = list[tuple[str, bytes]]


class Place(NamedTuple):
    """One node: its files, its keys, and what writes and reads archives there."""

    artifacts: ObstoreArtifacts
    keys: SigningKeys
    archives: VersionArchives
    folder: Path

    def read(self, archive: bytes, accept: str | None = None) -> OpenedArchive:
        return self.archives.read(pieces(archive, 100_003), accept, lambda manifest: None)

    def files(self) -> list[Path]:
        return [path for path in (self.folder / "artifacts").rglob("*") if path.is_file()]


def place_in(folder: Path) -> Place:
    artifacts, keys = ObstoreArtifacts(folder / "artifacts"), SigningKeys(folder / "keys")
    return Place(artifacts, keys, VersionArchives(artifacts, keys, 16 * MIB), folder)


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.fixture
def here(tmp_path: Path) -> Place:
    return place_in(tmp_path / "here")


@pytest.fixture
def there(tmp_path: Path, here: Place) -> Place:
    """Another node, which trusts this one."""
    place = place_in(tmp_path / "there")
    place.keys.trust("here", here.keys.own().key)
    return place


@pytest.fixture
def version(here: Place, draft: VersionDraft) -> Version:
    profile = here.artifacts.put([b'{"features": []}'], MIB)
    rich = msgspec.structs.replace(
        draft,
        source=here.artifacts.put([SOURCE], 4 * MIB),
        servable=here.artifacts.put([SERVABLE], MIB),
        profile=profile,
        preprocessing=profile,
        metrics={"auc": 0.93},
        tags={"team": "risk"},
        card="# Fraud\n\nA *card*.",
        examples=([1.5, 2.0],),
        lineage=Lineage(code_revision="abc", dataset_uri="s3://data/train.parquet"),
        report={"parity": {"max_abs_error": 1e-7}},
        idempotency_key="first",
    )
    return MemoryRegistry(ManualClock()).register("fraud", rich, "ann")


@pytest.fixture
def archive(here: Place, version: Version) -> bytes:
    return b"".join(here.archives.write(version, "0.2"))


@pytest.fixture
def members(archive: bytes) -> Members:
    """What stands in the archive, as another program sees it."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return [(found.name, content_of(opened, found)) for found in opened.getmembers()]


def content_of(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = archive.extractfile(member)
    return stream.read() if stream else b""


def rewritten(members: Iterable[tuple[str, bytes]]) -> bytes:
    """The same tar with other members."""
    parts = []
    for name, content in members:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        parts += [info.tobuf(tarfile.GNU_FORMAT), content, bytes(-len(content) % 512)]
    return b"".join([*parts, bytes(1024)])


def test_a_version_arrives_as_it_was(
    here: Place, there: Place, version: Version, archive: bytes
) -> None:
    opened = there.read(archive)

    assert (opened.manifest.model, opened.manifest.version) == ("fraud", 1)
    assert opened.manifest.created_at == version.created_at
    assert opened.signer == (here.keys.own().fingerprint, "here")
    for name in VersionDraft.__struct_fields__:
        expected = None if name == "idempotency_key" else getattr(version, name)
        assert getattr(opened.manifest.draft, name) == expected
    for artifact, content in ((version.source, SOURCE), (version.servable, SERVABLE)):
        assert there.artifacts.local_path(artifact.digest).read_bytes() == content


def test_its_size_is_known_before(here: Place, version: Version, archive: bytes) -> None:
    assert here.archives.size_bytes(version, "0.2") == len(archive)


def test_a_file_that_two_roles_share_is_written_once(members: Members) -> None:
    assert [name for name, _ in members][:2] == ["manifest.json", "signature.json"]
    assert len(members) == 5


def test_the_node_that_made_an_archive_takes_it_back(here: Place, archive: bytes) -> None:
    assert here.read(archive).signer.name == "this node"


def test_an_unknown_signer_is_refused_unless_accepted_by_name(
    here: Place, tmp_path: Path, archive: bytes
) -> None:
    stranger = place_in(tmp_path / "stranger")
    signer = here.keys.own().fingerprint

    with pytest.raises(PermissionDenied, match=signer):
        stranger.read(archive)
    with pytest.raises(PermissionDenied, match=signer):
        stranger.read(archive, accept="0" * 32)
    assert stranger.files() == []
    assert stranger.read(archive, accept=signer).signer == (signer, "")


def test_a_key_that_is_not_trusted_any_more_is_refused(there: Place, archive: bytes) -> None:
    there.keys.distrust("here")

    with pytest.raises(PermissionDenied, match="does not trust"):
        there.read(archive)


def change_manifest(members: Members) -> bytes:
    name, manifest = members[0]
    return rewritten([(name, manifest.replace(b'"auc":0.93', b'"auc":0.99')), *members[1:]])


def change_file(members: Members) -> bytes:
    *first, (name, content), last = members
    return rewritten([*first, (name, b"x" + content[1:]), last])


def change_signature(members: Members) -> bytes:
    signature = msgspec.json.decode(members[1][1])
    raw = bytearray(base64.b64decode(signature["signature"]))
    raw[0] ^= 1
    signature["signature"] = base64.b64encode(raw).decode()
    return rewritten([members[0], ("signature.json", msgspec.json.encode(signature)), *members[2:]])


def drop_signature(members: Members) -> bytes:
    return rewritten([members[0], *members[2:]])


def empty_signature(members: Members) -> bytes:
    return rewritten([members[0], ("signature.json", b"{}"), *members[2:]])


def add_member(members: Members) -> bytes:
    return rewritten([*members, ("files/extra", b"x")])


def add_member_before(members: Members) -> bytes:
    return rewritten([("extra", b"x"), *members])


def drop_file(members: Members) -> bytes:
    return rewritten(members[:-1])


def swap_files(members: Members) -> bytes:
    return rewritten([*members[:2], members[3], members[2], *members[4:]])


def lead_elsewhere(members: Members) -> bytes:
    return rewritten([*members[:2], ("../../evil", members[2][1]), *members[3:]])


def make_link(members: Members) -> bytes:
    archive = rewritten(members)
    info = tarfile.TarInfo(members[2][0])
    info.type, info.linkname, info.size = tarfile.SYMTYPE, "/etc/passwd", len(members[2][1])
    plain = tarfile.TarInfo(members[2][0])
    plain.size = len(members[2][1])
    before, after = plain.tobuf(tarfile.GNU_FORMAT), info.tobuf(tarfile.GNU_FORMAT)
    return archive.replace(before, after)


def go_on(members: Members) -> bytes:
    return rewritten(members) + rewritten([("files/extra", b"x")])


def fill_padding(members: Members) -> bytes:
    archive = bytearray(rewritten(members))
    end_of_manifest = 512 + len(members[0][1])
    archive[end_of_manifest] = 1
    return bytes(archive)


def cut_off(members: Members) -> bytes:
    return rewritten(members)[:-2_000_000]


def no_archive(members: Members) -> bytes:
    return b"MZ" * 4096


def huge_manifest(members: Members) -> bytes:
    info = tarfile.TarInfo("manifest.json")
    info.size = 17 * MIB
    return info.tobuf(tarfile.GNU_FORMAT) + bytes(1024)


@pytest.mark.parametrize(
    "change",
    [
        change_manifest, change_file, change_signature, drop_signature, empty_signature, add_member,
        add_member_before, drop_file, swap_files, lead_elsewhere, make_link, go_on, fill_padding,
        cut_off, no_archive, huge_manifest,
    ],
)  # fmt: skip
def test_whatever_was_changed_is_refused(
    there: Place, members: Members, change: Callable[[Members], bytes]
) -> None:
    with pytest.raises(Unprocessable):
        there.read(change(members))

    # files that arrived whole may wait for the next attempt; nothing else is left
    assert {path.name for path in there.files()} <= {name[6:] for name, _ in members[2:]}


def test_a_file_above_the_limit_is_refused(there: Place, archive: bytes) -> None:
    small = VersionArchives(there.artifacts, there.keys, MIB)

    with pytest.raises(TooLarge):
        small.read([archive], None, lambda manifest: None)


def test_a_manifest_that_does_not_please_is_refused_before_its_files(
    there: Place, archive: bytes
) -> None:
    def refuse(manifest: Any) -> None:
        raise PermissionDenied("not here")

    with pytest.raises(PermissionDenied, match="not here"):
        there.archives.read([archive], None, refuse)
    assert there.files() == []


def signed(place: Place, manifest: dict[str, Any]) -> bytes:
    """An archive of a manifest that nobody but its maker should believe."""
    content = msgspec.json.encode(manifest)
    signature = place.keys.sign(b"augurium version archive 1\0" + content)
    entry = {"key": place.keys.own().key, "signature": base64.b64encode(signature).decode()}
    return rewritten([("manifest.json", content), ("signature.json", msgspec.json.encode(entry))])


@pytest.mark.parametrize(
    "change", [{"format": 2}, {"unknown": 1}, {"draft": {}}, {"version": "one"}]
)
def test_a_manifest_of_another_format_is_refused(
    here: Place, members: Members, change: dict[str, Any]
) -> None:
    manifest = msgspec.json.decode(members[0][1])

    with pytest.raises(Unprocessable, match="release"):
        here.read(signed(here, manifest | change))


def test_a_version_whose_file_is_missing_is_not_exported(here: Place, version: Version) -> None:
    here.artifacts.delete(version.servable.digest)

    with pytest.raises(NotFound):
        next(here.archives.write(version, "0.2"))


def test_a_version_whose_file_is_damaged_is_not_exported(here: Place, version: Version) -> None:
    here.artifacts.local_path(version.servable.digest).write_bytes(b"dust")

    with pytest.raises(Unprocessable, match="damaged"):
        next(here.archives.write(version, "0.2"))


def test_a_key_is_for_its_owner_only_and_stays_the_same(tmp_path: Path) -> None:
    first = SigningKeys(tmp_path / "keys").own()

    assert SigningKeys(tmp_path / "keys").own() == first
    assert (tmp_path / "keys" / "signing.pem").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["signing.pem"]


def test_trusted_keys_are_listed_by_name_and_removed_by_either(tmp_path: Path) -> None:
    keys = SigningKeys(tmp_path / "keys")
    others = [SigningKeys(tmp_path / name).own().key for name in ("b", "a")]

    added = [keys.trust(name, key) for name, key in zip(("b", "a"), others, strict=True)]

    assert keys.trusted() == (added[1], added[0])
    keys.distrust("b")
    keys.distrust(added[1].fingerprint)
    assert keys.trusted() == ()
    with pytest.raises(NotFound, match="augurium trust list"):
        keys.distrust("b")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "x",
        "augurium-ed25519:",
        "augurium-ed25519:AAAA",
        "augurium-ed25519:é",
        "ssh-ed25519 AAAA",
    ],
)
def test_what_is_no_public_key_is_not_trusted(tmp_path: Path, key: str) -> None:
    with pytest.raises(InvalidArgument, match="is not a public key"):
        SigningKeys(tmp_path).trust("name", key)


@pytest.mark.parametrize("file", ["signing.pem", "trusted.json"])
def test_a_damaged_key_file_is_told(tmp_path: Path, file: str) -> None:
    (tmp_path / file).write_text("dust")
    keys = SigningKeys(tmp_path)

    with pytest.raises(NotReady, match=file):
        keys.own() if file == "signing.pem" else keys.trusted()


def test_an_artifact_record_that_lies_about_its_size_is_not_exported(
    here: Place, version: Version
) -> None:
    lying = msgspec.structs.replace(version, servable=Artifact(version.servable.digest, 7))

    with pytest.raises(Unprocessable, match="damaged"):
        list(here.archives.write(lying, "0.2"))
