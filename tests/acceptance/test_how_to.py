"""The how-to pages tell the truth: their Python runs, top to bottom, against a node."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.node import Node, clean_environment

HOW_TO = Path(__file__).parents[2] / "docs/how-to"
# one page per framework; the overview of them shows no Python
PAGES = [page for page in sorted(HOW_TO.glob("import-*.md")) if page.stem != "import-a-model"] + [
    HOW_TO / "stream-answers.md",
    HOW_TO / "call-a-model.md",
    HOW_TO / "survive-overload.md",
    HOW_TO / "degrade-gracefully.md",
    HOW_TO / "send-feedback.md",
    HOW_TO / "batch.md",
]
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
TIMEOUT_S = 240


@pytest.fixture(scope="module")
def permissive_node(start: Callable[..., Node]) -> Node:
    """A node whose owner permits Python functions."""
    return start(None, "--allow-code")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_python_of_a_page_runs(page: Path, permissive_node: Node, tmp_path: Path) -> None:
    blocks = PYTHON_BLOCK.findall(page.read_text())
    assert blocks, f"{page.name} shows no Python"
    program = tmp_path / f"{page.stem.replace('-', '_')}.py"
    program.write_text("\n".join(blocks))
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        env={**clean_environment(), "AUGURIUM_URL": permissive_node.management},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:] + os.linesep + done.stdout[-500:]
