"""The program in JavaScript, with nothing but `fetch`: for Node.js and for browsers."""

from augurium.cli.client_code_call import ExampleCall, is_exact_as_doubles, json_text

_TEXT = """\
// Asks the model {model}. For Node.js 18 or newer, and for browsers.
// A key, where the server asks for one, is taken from AUGURIUM_KEY.
const url = {url};
const key = globalThis.process?.env?.AUGURIUM_KEY;
const body = {body};

async function main() {{
  const headers = {{ "content-type": "application/json" }};
  if (key) headers.authorization = `Bearer ${{key}}`;
  const answer = await fetch(url, {{ method: "POST", headers, body }});
  if (!answer.ok) throw new Error(`${{answer.status}}: ${{await answer.text()}}`);
{read}}}

main().catch((error) => {{
  console.error(error);
  if (globalThis.process) process.exitCode = 1;
}});
"""
_WHOLE = """\
  console.log(await answer.text());
"""
_EVENTS = """\
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) break;
    const lines = (rest + value).split("\\n");
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith("data: ")) console.log(line.slice("data: ".length));
    }
  }
"""


def program(call: ExampleCall) -> str:
    """The program's text."""
    return _TEXT.format(
        model=call.model,
        url=json_text(call.url),
        body=_body(call),
        read=_EVENTS if call.streamed else _WHOLE,
    )


def _body(call: ExampleCall) -> str:
    if not is_exact_as_doubles(call.body):
        # numbers of JavaScript are doubles; a text keeps every digit
        return _safe(json_text(json_text(call.body, indent=None)))
    # such a key would set the object's prototype
    literal = json_text(call.body).replace('"__proto__":', '["__proto__"]:')
    return f"JSON.stringify({_safe(literal)})"


def _safe(literal: str) -> str:
    """The literal as it may also stand in a page: the end of a script is what it looks like."""
    return literal.replace("</", "<\\/").replace("<!--", "<\\!--")
