"""The program as a shell script around curl."""

import shlex

from augurium.cli.client_code_call import ExampleCall, json_text

_TEXT = """\
#!/bin/sh
# Asks the model {model}. A key, where the server asks for one, is taken from AUGURIUM_KEY; the file
# of a certificate authority of your own from AUGURIUM_CA.
set -eu

curl --silent --show-error --fail-with-body {options}\\
  ${{AUGURIUM_KEY:+--header "Authorization: Bearer $AUGURIUM_KEY"}} \\
  ${{AUGURIUM_CA:+--cacert "$AUGURIUM_CA"}} \\
  --header 'Content-Type: application/json' \\
  --data-binary @- \\
  {url} <<'JSON'
{body}
JSON
"""


def program(call: ExampleCall) -> str:
    """The program's text. No line of the body is `JSON`, which ends it."""
    return _TEXT.format(
        model=call.model,
        options="--no-buffer " if call.streamed else "",
        url=shlex.quote(call.url),
        body=json_text(call.body),
    )
