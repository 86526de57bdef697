"""The chunks that a PNG is made of, and the mark of generated pictures, which is one of them; knows no pixels."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEADER = 25  # bytes of the chunk IHDR

# The chunks that decide pixels, in their order. Of the others, animations and color keys are for Pillow to see.
OTHER = rb"(?:(?!tRNS|acTL|fcTL|fdAT)[a-z][A-Za-z]{3})*"
PLAIN = re.compile(rb"IHDR%b(PLTE%b(tRNS%b)?)?(IDAT)+%bIEND" % (OTHER, OTHER, OTHER, OTHER))

START = struct.Struct(">I4s")
CRC = struct.Struct(">I")


def chunk(name: bytes, data: bytes) -> bytes:
    """A chunk: its length, its name, what it holds, and the checksum of the last two."""
    return START.pack(len(data), name) + data + CRC.pack(zlib.crc32(data, zlib.crc32(name)))


# Of XMP (ISO 16684-1; "Storage in files", 2020, section 1.1.5): a packet in a PNG is uncompressed and read-only. Of
# IPTC: the property (Photo Metadata Standard 2025.1) and the code for what a model made that was trained on media.
SOURCE = b"http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
KEYWORD = b"XML:com.adobe.xmp\0"
MARK = chunk(
    b"iTXt",
    KEYWORD
    + b"\0\0\0\0"  # no compression, its method, no language, no translated keyword
    + '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'.encode()
    + b'<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    + b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    + b'<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
    + b"<Iptc4xmpExt:DigitalSourceType>" + SOURCE + b"</Iptc4xmpExt:DigitalSourceType>"
    + b'</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>',
)  # fmt: skip


def marked(data: bytes) -> bool:
    """Whether a PNG says that it was made by a trained model, as `with_mark` does or another program in plain text.

    Reads no pixels, and checks no checksum; what is no PNG says nothing.
    """
    return any(name == b"iTXt" and text.startswith(KEYWORD) and SOURCE in text for name, text, _ in _found(data))


def with_mark(data: bytes) -> bytes:
    """The PNG or APNG with the mark behind its header, once; its pixels stay. It must be one without other XMP."""
    end = len(SIGNATURE) + HEADER
    return data if marked(data) else data[:end] + MARK + data[end:]


def plain(data: bytes) -> dict[bytes, bytearray] | None:
    """What the chunks of a PNG hold, by their names, that of all IDAT together; None unless it is a plain one.

    That is a whole one, with its chunks in order and no wrong checksum, which is no animation and has no color key.
    """
    names = bytearray()
    held: dict[bytes, bytearray] = {}
    for name, content, checksum in _found(data):
        if checksum != zlib.crc32(content, zlib.crc32(name)):
            return None
        names += name
        held.setdefault(name, bytearray()).extend(content)
    return held if PLAIN.fullmatch(names) else None


def _found(data: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Name, content and checksum of every chunk that is whole, up to the last one."""
    place = len(SIGNATURE) if data.startswith(SIGNATURE) else len(data)
    while place + START.size <= len(data):
        length, name = START.unpack_from(data, place)
        start = place + START.size
        place = start + length + CRC.size
        if place > len(data):
            return
        yield name, data[start : start + length], CRC.unpack_from(data, start + length)[0]
        if name == b"IEND":
            return
