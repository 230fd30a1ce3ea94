"""What every reader of JSON needs: a limit to how deep it is nested, held before a parser recurses
into it, and the errors of a parser.
"""

import re

import msgspec

from augurium.core.errors import InvalidArgument

# what a decoder says of bytes that are not JSON, or not the JSON it was made for
UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
_tokens = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)


def check_depth(body: bytes, limit: int) -> None:
    """Raises InvalidArgument above `limit` levels. Linear in the size of the body.

    Two counts settle the usual case: a body with at most `limit` opening brackets cannot be deeper.
    """
    if body.count(b"[") + body.count(b"{") <= limit:
        return
    depth = 0
    for token in _tokens.finditer(body):
        first = body[token.start()]
        if first in b"[{":
            depth += 1
            if depth > limit:
                raise InvalidArgument(f"JSON is nested deeper than {limit} levels")
        elif first in b"]}":
            depth -= 1
