"""The revision of the code a model was trained with, as git knows it."""

import subprocess
from pathlib import Path

from augurium.core.errors import InvalidArgument

AUTOMATIC = "auto"
TIMEOUT_S = 10.0
COMMAND = ("git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")


def code_revision(folder: Path) -> str:
    """The commit that is checked out in `folder`, with `-dirty` behind it for uncommitted changes.

    Raises InvalidArgument when git cannot tell.
    """
    try:
        asked = subprocess.run(
            COMMAND, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT_S, check=True
        )
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or ["it gave no reason"])[0]
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = str(error)
    else:
        return asked.stdout.strip()
    raise InvalidArgument(
        f"the code revision of {folder} is not known to git: {reason}; "
        "name it instead: --code-revision REVISION"
    )
