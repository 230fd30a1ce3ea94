"""MurmurHash3, the 32-bit variant for x86 (Austin Appleby, public domain, `MurmurHash3_x86_32`):
what ONNX Runtime's operator `com.microsoft.MurmurHash3` computes.
"""

MASK = 0xFFFFFFFF
C1 = 0xCC9E2D51
C2 = 0x1B873593


def murmur3(text: str, seed: int) -> int:
    """The hash of the text's UTF-8 bytes, 0 to 2**32 - 1."""
    content = text.encode("utf-8", "surrogatepass")
    whole = len(content) // 4 * 4
    found = seed
    for start in range(0, whole, 4):
        found ^= _mixed(int.from_bytes(content[start : start + 4], "little"))
        found = (_rotated(found, 13) * 5 + 0xE6546B64) & MASK
    if len(content) > whole:
        found ^= _mixed(int.from_bytes(content[whole:], "little"))
    found ^= len(content)
    found = ((found ^ (found >> 16)) * 0x85EBCA6B) & MASK
    found = ((found ^ (found >> 13)) * 0xC2B2AE35) & MASK
    return found ^ (found >> 16)


def _mixed(block: int) -> int:
    return (_rotated((block * C1) & MASK, 15) * C2) & MASK


def _rotated(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (32 - bits))) & MASK
