"""The page on securing a node tells the truth: its commands and settings work, top to bottom.

What differs from machine to machine is filled in: folders, ports, the address, and the keys.
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.support.node import AUGURIUM, Node, clean_environment

PAGE = Path(__file__).parents[2] / "docs/how-to/secure-a-node.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
JWKS = "https://login.example/.well-known/jwks.json"


class Reader:
    """Somebody who does what the page says, one block after the other."""

    def __init__(self, folder: Path) -> None:
        self.node: Node | None = None
        self.said: list[str] = []
        self._folder = folder
        self._config = folder / "augurium.toml"
        self._environment = clean_environment()
        self._environment["PATH"] = f"{Path(AUGURIUM).parent}:{self._environment['PATH']}"
        self._filled = {
            "/var/lib/augurium": str(folder / "home"),
            "/etc/augurium": str(folder),
            # nobody else may reach a node of a test, and it asks nobody else
            "0.0.0.0": "127.0.0.1",
            JWKS: str(folder / "jwks.json"),
        }

    def follow(self, language: str, block: str) -> None:
        if language == "toml":
            with self._config.open("a") as file:
                file.write(self._fill(block) + "\n")
        elif language == "python":
            self._run([sys.executable, "-c", self._fill(block)])
        else:
            for line in block.splitlines():
                self._command(line)

    def stop(self) -> None:
        if self.node is not None:
            assert self.node.stop() == 0
            self.node = None

    def _command(self, line: str) -> None:
        command = self._fill(line.partition("  #")[0])
        if command.startswith("export "):
            for assignment in command.split()[1:]:
                name, _, value = assignment.partition("=")
                self._environment[name] = value
        elif command.startswith("augurium serve "):
            self.stop()
            self.node = self._serve(command.split()[2:])
        else:
            said = self._run(["bash", "-c", command])
            self.said.append(said)
            self._learn(command, said)

    def _serve(self, words: list[str]) -> Node:
        home = words[words.index("--home") + 1]
        flags = [word for word in words if word not in ("--home", home)]
        if "--config" in flags:
            flags[flags.index("--config") + 1] = str(self._config)
        node = Node(Path(home), *flags, "--engines", "1")
        # curl asks for https: the page's scheme must be the node's own
        self._filled |= {
            "https://node.example:8080": node.management,
            "https://node.example:8000": f"https://{node.rest.removeprefix('https://')}",
            "node.example:8001": node.grpc,
        }
        self._environment["AUGURIUM_URL"] = node.management
        return node

    def _learn(self, command: str, said: str) -> None:
        """Takes over the keys and ids that a person would copy."""
        if command.startswith("augurium keys create admin"):
            self._filled["aug_live_..."] = said.strip()
        if command.startswith("augurium keys create web"):
            self._filled["revoke ID"] = f"revoke {said.split('_')[2]}"

    def _fill(self, text: str) -> str:
        for written, real in self._filled.items():
            text = text.replace(written, real)
        return text.strip()

    def _run(self, command: list[str]) -> str:
        done = subprocess.run(
            command,
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, (command, done.stderr[-2000:])
        return done.stdout


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(tmp_path / "node.key")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "node.pem")
    for name in ("ca.pem", "callers.pem"):
        authority.cert_pem.write_to_path(tmp_path / name)
    reader = Reader(tmp_path)
    yield reader
    reader.stop()


def test_the_page_can_be_followed_from_top_to_bottom(reader: Reader) -> None:
    blocks = BLOCK.findall(PAGE.read_text())
    assert {language for language, _ in blocks} == {"sh", "toml", "python"}
    for language, block in blocks:
        reader.follow(language, block)

    said = "\n".join(reader.said)
    assert '"name":"augurium"' in said
    assert re.search(r"web \w{12} is revoked", said)


def test_the_settings_of_the_page_start_a_node(reader: Reader) -> None:
    for language, block in BLOCK.findall(PAGE.read_text()):
        if language == "toml" or "augurium keys create admin" in block:
            reader.follow(language, block)
    reader.follow("sh", "augurium serve --home /var/lib/augurium --config augurium.toml")

    assert reader.node is not None
    assert reader.node.management.startswith("https://")
