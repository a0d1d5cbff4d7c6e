"""Small files that would unpack to something huge: refused with little memory, and at once where the header tells."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
import textwrap
import zipfile
import zlib
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="measures memory by means of Linux")

MEASURE = """
    import re, sys, time
    from pathlib import Path
    from omnifuse.data.decode.audio import audio_facts, decode_audio, encode_audio
    from omnifuse.data.decode.image import decode_image, encode_image
    from omnifuse.data.decode.points import decode_points
    from omnifuse.data.decode.series import decode_series
    from omnifuse.data.decode.video import decode_video, encode_video, video_facts
    from omnifuse.data.fetch import BadValue
    import numpy as np

    def read(word):
        return 1024 * int(re.search(word + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

    data, what = sys.stdin.buffer.read(), sys.argv[1]
    run = {
        "image": lambda d: decode_image(d, size=(16, 16)),
        "video": lambda d: video_facts(d),
        "frames": lambda d: decode_video(d, 4, (16, 16)),
        "audio": lambda d: audio_facts(d),
        "beginning": lambda d: decode_audio(d, 8000, 1, 30.0),
        "points": lambda d: decode_points(d, ("x", "y", "z", "intensity")),
        "series": lambda d: decode_series(d),
    }[what]
    if what in ("audio", "beginning"):
        import soundfile
    if what in ("video", "frames"):
        import av
    if what == "series":
        import pyarrow.parquet, pyarrow.compute
    Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from here on
    before, start = read("VmRSS"), time.perf_counter()
    try:
        found = run(data)
        print(f"decoded {getattr(found, 'shape', found)}")
    except BadValue as error:
        print(f"refused: {error}")
    print(time.perf_counter() - start)
    print(read("VmHWM") - before)
"""


def measured(what: str, data: bytes) -> tuple[str, float, float]:
    """What came of it in a fresh process, the seconds it took, and the peak of memory above the baseline in MB."""
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(MEASURE), what], input=data, capture_output=True, timeout=100)
    assert done.returncode == 0, done.stderr.decode()
    message, seconds, memory = done.stdout.decode().splitlines()
    return message, float(seconds), int(memory) / 1e6


def png(width: int, height: int) -> bytes:
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(bytes(10**6))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)


def gif(width: int, height: int, frames: int) -> bytes:
    """An animation whose frames are one dot each."""
    buffer = io.BytesIO()
    Image.new("P", (1, 1)).save(buffer, "GIF")
    dot = buffer.getvalue()
    place = dot.rindex(b",")
    frame = b"\x21\xf9\x04\x00\x01\x00\x00\x00" + dot[place:-1]
    return dot[:6] + struct.pack("<HH", width, height) + dot[10:place] + frame * frames + b";"


def flac(hours: float) -> bytes:
    """Silence at 1 kHz; 4 bytes of its header say how many samples there are."""
    soundfile = pytest.importorskip("soundfile")
    buffer = io.BytesIO()
    with soundfile.SoundFile(buffer, "w", 1000, 1, format="FLAC") as file:
        for _ in range(round(hours * 36)):
            file.write(np.zeros(100_000, np.int16))
    return buffer.getvalue()


def flac_that_hides_its_length(hours: float) -> bytes:
    data = bytearray(flac(hours))
    data[8 + 13] &= 0xF0
    data[8 + 14 : 8 + 18] = bytes(4)
    return bytes(data)


def opus(hours: float) -> bytes:
    """Ogg Opus of packets that say 120 ms of silence in two bytes."""
    from omnifuse.data.decode.whole import _ogg_checksum

    def page(number: int, flags: int, granule: int, packets: list[bytes]) -> bytes:
        sizes = bytes(len(packet) for packet in packets)
        head = b"OggS" + struct.pack("<BBqIII", 0, flags, granule, 7, number, 0) + bytes([len(sizes)]) + sizes
        whole = head + b"".join(packets)
        return whole[:22] + struct.pack("<I", _ogg_checksum(whole)) + whole[26:]

    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48000, 0, 0)
    pages = [page(0, 2, 0, [head]), page(1, 0, 0, [b"OpusTags" + bytes(8)])]
    count = round(hours * 3600 / (255 * 0.12))
    for number in range(count):
        pages.append(page(2 + number, 4 * (number == count - 1), (number + 1) * 255 * 5760, [b"\xfb\x06"] * 255))
    return b"".join(pages)


def wav_of_another_length(size: int) -> bytes:
    layout = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
    return b"RIFF" + struct.pack("<I", size) + b"WAVEfmt \x10\0\0\0" + layout + b"data" + struct.pack("<I", size) + bytes(1000)


def npy_header(shape: tuple[int, ...]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f8", "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def npz(shape: tuple[int, ...], megabytes: int) -> bytes:
    """A zip whose array says one thing and holds so many megabytes of zeros."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive, archive.open("a.npy", "w") as member:
        member.write(npy_header(shape))
        for _ in range(megabytes):
            member.write(bytes(1_000_000))
    return buffer.getvalue()


def pcd(points: int, way: str, body: bytes) -> bytes:
    fields = "VERSION .7\nFIELDS x y z\nSIZE 4 4 4\nTYPE F F F\nCOUNT 1 1 1\n"
    return f"{fields}WIDTH {points}\nHEIGHT 1\nPOINTS {points}\nDATA {way}\n".encode() + body


def ply(points: int, way: str, body: bytes) -> bytes:
    properties = "property float x\nproperty float y\nproperty float z\n"
    return f"ply\nformat {way} 1.0\nelement vertex {points}\n{properties}end_header\n".encode() + body


def zeros_in(write: Callable[[pa.Table, io.BytesIO], None]) -> bytes:
    buffer = io.BytesIO()
    write(pa.table({"a": np.zeros(30_000_000, np.float64)}), buffer)
    return buffer.getvalue()


def write_zstd(table: pa.Table, buffer: io.BytesIO) -> None:
    with pa.ipc.new_stream(buffer, table.schema, options=pa.ipc.IpcWriteOptions(compression="zstd")) as writer:
        writer.write_table(table)


def npz_packed(method: int, megabytes: int) -> bytes:
    """An array packed in a way whose unpacker in Python gives more than it is asked for."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive, archive.open("a.npy", "w") as member:
        member.write(npy_header((20_000_000,)) + bytes(megabytes * 1_000_000))
    return buffer.getvalue()


def zip_of_many(entries: int) -> bytes:
    """A zip with nothing in it but a long list of contents."""
    entry = b"PK\x01\x02" + bytes(42)
    listed = entry * entries
    end64 = b"PK\x06\x06" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, entries, entries, len(listed), 30)
    where = b"PK\x06\x07" + struct.pack("<IQI", 0, 30 + len(listed), 1)
    return b"PK\x03\x04" + bytes(26) + listed + end64 + where + b"PK\x05\x06" + b"\xff" * 16 + bytes(2)


def jpeg_of_many_scans(side: int, scans: int) -> bytes:
    """A grey picture whose last pass comes again and again."""
    buffer = io.BytesIO()
    Image.new("L", (side, side), 128).save(buffer, "JPEG", progressive=True)
    data = buffer.getvalue()[:-2]
    return data + data[data.rindex(b"\xff\xda") :] * scans + b"\xff\xd9"


def parquet_of_nested_groups(depth: int) -> bytes:
    """A footer (Thrift, compact) whose groups lie in each other; Arrow's reader overruns its stack at a hundred thousand."""
    group, value = b"\x35\x00\x18\x01g\x15\x02\x00", b"\x15\x0a\x25\x00\x18\x01v\x00"
    count = depth + 2
    size = bytes([count & 127 | 128, count >> 7 & 127 | 128, count >> 14])
    footer = b"\x15\x02\x19\xfc" + size + b"\x48\x01r\x15\x02\x00" + group * depth + value + b"\x16\x00\x19\x0c\x00"
    return b"PAR1" + footer + struct.pack("<I", len(footer)) + b"PAR1"


def mp4(samples: int) -> bytes:
    """A film of a kilobyte whose table says that it has so many frames of one byte."""

    def box(kind: bytes, *parts: bytes) -> bytes:
        return struct.pack(">I", 8 + len(b"".join(parts))) + kind + b"".join(parts)

    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    entry = box(b"jpeg", struct.pack(">6xH16xHHIIIH", 1, 16, 16, 0x480000, 0x480000, 0, 1), bytes(32), struct.pack(">Hh", 24, -1))
    tables = [
        box(b"stsd", struct.pack(">II", 0, 1), entry),
        box(b"stts", struct.pack(">IIII", 0, 1, samples, 1)),
        box(b"stsc", struct.pack(">IIIII", 0, 1, 1, samples, 1)),
        box(b"stsz", struct.pack(">III", 0, 1, samples)),
        box(b"stco", struct.pack(">III", 0, 1, 40)),
    ]
    media = [
        box(b"mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 8000, 100, 0x55C4, 0)),
        box(b"hdlr", struct.pack(">II4s12x", 0, 0, b"vide"), b"x\0"),
        box(b"minf", box(b"vmhd", bytes(12)), box(b"stbl", *tables)),
    ]
    head = box(b"mvhd", struct.pack(">IIIIIIH10x", 0, 0, 0, 8000, 100, 0x10000, 0x100), matrix, bytes(24), struct.pack(">I", 2))
    track = box(b"tkhd", struct.pack(">6I8xHHHH", 0, 0, 0, 1, 0, 100, 0, 0, 0x100, 0), matrix, struct.pack(">II", 16 << 16, 16 << 16))
    moov = box(b"moov", head, box(b"trak", track, box(b"mdia", *media)))
    return box(b"ftyp", b"isom\0\0\0\0isom") + box(b"mdat", bytes(1000)) + moov


def film_that_hides_its_size() -> bytes:
    """Frames of 144 megapixels in a container that says 16 × 16."""
    av = pytest.importorskip("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="matroska") as film:
        stream = film.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 12_000, 12_000, "yuvj420p"
        frame = av.VideoFrame(12_000, 12_000, "yuvj420p")
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        film.mux([*stream.encode(frame), *stream.encode()])
    told = struct.pack(">H", 12_000)
    return buffer.getvalue().replace(b"\xb0\x82" + told, b"\xb0\x82\x00\x10").replace(b"\xba\x82" + told, b"\xba\x82\x00\x10")


TOLD = {
    "picture of 2,000 passes": ("image", lambda: jpeg_of_many_scans(2000, 2000)),
    "zip packed with bzip2": ("series", lambda: npz_packed(zipfile.ZIP_BZIP2, 300)),
    "zip of a million names": ("series", lambda: zip_of_many(500_000)),
    "line of half a million columns": ("series", lambda: (b"1," * 400_000 + b"1\n") * 3),
    "one long word among points": ("points", lambda: ply(43_000, "ascii", b"1 2 3\n" * 42_999 + b"1" * 500_000 + b" 2 3\n")),
    "groups in groups, Parquet": ("series", lambda: parquet_of_nested_groups(100_000)),
    "film of ten million frames in its table": ("video", lambda: mp4(10_000_000)),
    "picture of 64k × 64k": ("image", lambda: png(65_536, 65_536)),
    "animation of 64k × 64k": ("video", lambda: gif(65_000, 65_000, 3)),
    "sound of 5 hours": ("audio", lambda: flac(5)),
    "sound of 20 hours in Opus": ("audio", lambda: opus(20)),
    "sound whose header says 4 GB": ("audio", lambda: wav_of_another_length(0xFFFFFFF0)),
    "array whose header says 10 billion": ("series", lambda: npy_header((10**9, 10)) + bytes(1000)),
    "array whose header says more than is there": ("series", lambda: npy_header((10**6, 10)) + bytes(1000)),
    "array whose header overflows": ("series", lambda: npy_header((2**40, 2**40)) + bytes(1000)),
    "zip of zeros": ("series", lambda: npz((30_000_000,), 240)),
    "zip whose array says less than it holds": ("series", lambda: npz((10,), 200)),
    "zip of points": ("points", lambda: npz((300_000_000, 3), 10)),
    "table of zeros, Parquet": ("series", lambda: zeros_in(lambda t, b: pq.write_table(t, b))),
    "table of zeros, Arrow": ("series", lambda: zeros_in(write_zstd)),
    "line of commas": ("series", lambda: b"," * 30_000_000),
    "points: header says 4 billion": ("points", lambda: pcd(4_000_000_000, "binary", bytes(1200))),
    "points: header says 40 million": ("points", lambda: pcd(40_000_000, "binary", bytes(1200))),
    "points: text that ends early": ("points", lambda: pcd(40_000_000, "ascii", b"1 2 3\n" * 100)),
    "points: compressed, says 480 MB": (
        "points",
        lambda: pcd(40_000_000, "binary_compressed", struct.pack("<II", 99, 480_000_000) + bytes(99)),
    ),
    "points: ply says 4 billion": ("points", lambda: ply(4_000_000_000, "binary_little_endian", bytes(1200))),
    "points: ply says 40 million": ("points", lambda: ply(40_000_000, "binary_big_endian", bytes(1200))),
    "points: ply text that ends early": ("points", lambda: ply(40_000_000, "ascii", b"1 2 3\n" * 100)),
}
STREAMED = {
    "film of large frames that says it is small": ("video", film_that_hides_its_size),
    "lines of commas": ("series", lambda: (b"," * 1000 + b"\n") * 30_000),
    "animation of 100,000 frames": ("video", lambda: gif(16, 16, 100_000)),
    "animation of large frames": ("frames", lambda: gif(2000, 2000, 1000)),
    "sound of 5 hours that hides its length": ("audio", lambda: flac_that_hides_its_length(5)),
}
STOPPED = {
    "first picture of a long animation": ("image", lambda: gif(512, 512, 100_000), "decoded (16, 16, 3)"),
    "beginning of a sound of 5 hours": ("beginning", lambda: flac_that_hides_its_length(5), "decoded (1, 240000)"),
    "beginning of a sound of 3 hours in Opus": ("beginning", lambda: opus(3), "decoded (1, 240000)"),
}


@pytest.mark.parametrize(("what", "make"), TOLD.values(), ids=TOLD.keys())
def test_what_the_header_tells_is_refused_at_once(what: str, make: Callable[[], bytes]):
    data = make()
    assert len(data) < 32_000_000
    message, seconds, memory = measured(what, data)
    assert message.startswith("refused")
    assert seconds < 0.1, message
    assert memory < 64, message


@pytest.mark.parametrize(("what", "make"), STREAMED.values(), ids=STREAMED.keys())
def test_what_the_header_hides_is_refused_when_the_limit_is_reached(what: str, make: Callable[[], bytes]):
    message, seconds, memory = measured(what, make())
    assert message.startswith("refused")
    assert memory < 64, message
    assert seconds < 30


@pytest.mark.parametrize(("what", "make", "expected"), STOPPED.values(), ids=STOPPED.keys())
def test_decoding_stops_where_enough_was_read(what: str, make: Callable[[], bytes], expected: str):
    message, seconds, memory = measured(what, make())
    assert message == expected
    assert memory < 64, message
    assert seconds < 1
