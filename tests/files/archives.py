# SPDX-License-Identifier: Apache-2.0
"""Archives made block by block, so that they can be as wrong as is wanted."""
import io
import tarfile

BLOCK = 512
END = bytes(2 * BLOCK)
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def octal(number, size):
    if number < 8 ** (size - 1):
        return b"%0*o\0" % (size - 1, number)
    return b"\x80" + number.to_bytes(size - 1, "big")


def header(name, kind=b"0", size=0, link=b"", mode=0o644, uid=0, gid=0, mtime=1, major=0, minor=0, magic=b"ustar\x0000"):
    name, link = (one if isinstance(one, bytes) else one.encode() for one in (name, link))
    block = b"".join((name[:100].ljust(100, b"\0"), octal(mode, 8), octal(uid, 8), octal(gid, 8), octal(size, 12), octal(mtime, 12), b" " * 8,
                      kind, link[:100].ljust(100, b"\0"), magic, bytes(64), octal(major, 8), octal(minor, 8))).ljust(BLOCK, b"\0")
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def padded(data):
    return data + bytes(-len(data) % BLOCK)


def entry(name, data=b"", **more):
    data = data if isinstance(data, bytes) else data.encode()
    return header(name, size=len(data), **more) + padded(data)


def long_name(name, kind=b"L"):
    """GNU's: the next header's name (K: its link)."""
    return entry("././@LongLink", name.encode() + b"\0", kind=kind, magic=b"ustar  \0")


def pax(**records):
    lines = b""
    for key, value in records.items():
        body = b" " + key.replace("_", ".").encode() + b"=" + (value if isinstance(value, bytes) else value.encode()) + b"\n"
        size = len(body)
        while len(str(size)) + len(body) != size:
            size = len(str(size)) + len(body)
        lines += str(size).encode() + body
    return entry("PaxHeaders/x", lines, kind=b"x")


def gnu_sparse(name, pieces, real):
    """GNU's old format, up to four pieces of (offset, bytes)."""
    data = b"".join(part for _, part in pieces)
    block = bytearray(header(name, kind=b"S", size=len(data), magic=b"ustar  \0"))
    at = 386
    for offset, part in pieces:
        block[at : at + 24] = octal(offset, 12) + octal(len(part), 12)
        at += 24
    block[483:495] = octal(real, 12)
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + padded(data)


def tree(form, members):
    """By the standard library. members: (name, type, content or link or None, mode)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=FORMATS[form]) as tar:
        for name, kind, content, mode in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode, info.mtime = kind, mode, 1000000000
            data = None
            if kind == tarfile.REGTYPE:
                info.size, data = len(content), io.BytesIO(content)
            elif content is not None:
                info.linkname = content
            tar.addfile(info, data)
    return out.getvalue()
