"""Writers of microscopes' files, byte by byte in their layout, which no package writes."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

CZI_TYPES = {"uint8": 0, "uint16": 1, "float32": 2}
CZI_COLORS = {"uint8": 3, "uint16": 4}


@dataclass
class Tile:
    """A subblock of a CZI: pixels (H, W), or (H, W, 3) as RGB, and where they lie on each axis."""

    pixels: np.ndarray
    x: int = 0
    y: int = 0
    reduction: int = 1
    at: dict[str, int] = field(default_factory=dict)
    compression: int = 0
    data: bytes | None = None
    """Of a compressed tile."""


def write_czi(
    path: Path, tiles: Sequence[Tile], *, channels: Sequence[str] = (), micrometers: float | None = None
) -> Path:
    """Write subblocks, their directory and the metadata."""
    names = "".join(f'<Channel Id="Channel:{i}" Name="{name}"/>' for i, name in enumerate(channels))
    value = "" if micrometers is None else f"<Value>{micrometers * 1e-6!r}</Value>"
    distances = "".join(f'<Distance Id="{axis}">{value}</Distance>' for axis in "XYZ")
    xml = (
        "<ImageDocument><Metadata>"
        f"<Information><Image><Dimensions><Channels>{names}</Channels></Dimensions></Image></Information>"
        f"<Scaling><Items>{distances}</Items></Scaling>"
        '<DisplaySetting><Channels><Channel Name="shown"/></Channels></DisplaySetting>'
        "</Metadata></ImageDocument>"
    ).encode()
    metadata = _segment("ZISRAWMETADATA", struct.pack("<ii", len(xml), 0) + bytes(248) + xml)
    # Header first: 32 bytes of segment header and 512 of data.
    position = metadata_at = 544
    body, entries = [metadata], []
    position += len(metadata)
    for tile in tiles:
        entry = _entry(tile, position)
        pixels = tile.pixels[..., ::-1] if tile.pixels.ndim == 3 else tile.pixels
        data = np.ascontiguousarray(pixels).tobytes() if tile.data is None else tile.data
        block = _segment("ZISRAWSUBBLOCK", struct.pack("<iiq", 0, 0, len(data)) + entry.ljust(240, b"\0") + data)
        body.append(block)
        entries.append(entry)
        position += len(block)
    body.append(_segment("ZISRAWDIRECTORY", struct.pack("<i", len(entries)) + bytes(124) + b"".join(entries)))
    header = struct.pack("<iiii16s16siqqiq", 1, 0, 0, 0, b"1" * 16, b"1" * 16, 0, position, metadata_at, 0, 0)
    path.write_bytes(_segment("ZISRAWFILE", header.ljust(512, b"\0")) + b"".join(body))
    return path


def _segment(name: str, data: bytes) -> bytes:
    return struct.pack("<16sqq", name.encode(), len(data), len(data)) + data


def _entry(tile: Tile, position: int) -> bytes:
    color = tile.pixels.ndim == 3
    kind = (CZI_COLORS if color else CZI_TYPES)[tile.pixels.dtype.name]
    rows, columns = tile.pixels.shape[:2]
    dimensions = [
        ("X", tile.x, columns * tile.reduction, columns if tile.reduction > 1 else 0),
        ("Y", tile.y, rows * tile.reduction, rows if tile.reduction > 1 else 0),
        *((axis, start, 1, 0) for axis, start in tile.at.items()),
    ]
    pyramid = 0 if tile.reduction == 1 else 2
    head = struct.pack(
        "<2siqiiBB4si", b"DV", kind, position, 0, tile.compression, pyramid, 0, b"", len(dimensions)
    )
    return head + b"".join(
        struct.pack("<4siifi", axis.encode(), start, size, 0.0, stored) for axis, start, size, stored in dimensions
    )


def write_lif(
    path: Path, images: Sequence[tuple[str, str, np.ndarray]], *, meters: float = 2e-7, **options: Any
) -> Path:
    """Write images of a project: a name, the axes as stored (slowest first) and the pixels.

    ``S`` as the last axis is that of colors, stored blue first. ``dyes`` and ``luts`` name the channels.
    """
    blocks, elements = [], []
    for number, (name, axes, pixels) in enumerate(images):
        data = np.ascontiguousarray(pixels[..., ::-1] if axes.endswith("S") else pixels)
        elements.append(_lif_element(name, axes, data, f"MemBlock_{number}", meters, **options))
        blocks.append(_lif_block(f"MemBlock_{number}", data.tobytes()))
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="project"><Children>'
        + "".join(elements)
        + "</Children></Element></LMSDataContainerHeader>"
    )
    text = xml.encode("utf-16-le")
    head = struct.pack("<IIBI", 0x70, len(text) + 5, 0x2A, len(xml)) + text
    path.write_bytes(head + b"".join(blocks))
    return path


def _lif_block(name: str, data: bytes) -> bytes:
    text = name.encode("utf-16-le")
    return struct.pack("<IIBQBI", 0x70, len(text) + 14, 0x2A, len(data), 0x2A, len(name)) + text + data


def _lif_element(
    name: str,
    axes: str,
    data: np.ndarray,
    block: str,
    meters: float,
    dyes: Sequence[str] = (),
    luts: Sequence[str] = (),
) -> str:
    step = {axis: data.strides[i] for i, axis in enumerate(axes)}
    length = dict(zip(axes, data.shape, strict=True))
    bits = data.dtype.itemsize * 8
    dimensions = "".join(
        f'<DimensionDescription DimID="{"XYZT".index(axis) + 1 if axis in "XYZT" else 10}" '
        f'NumberOfElements="{length[axis]}" Origin="0" Length="{meters * (length[axis] - 1)!r}" Unit="m" '
        f'BytesInc="{step[axis]}" BitInc="0"/>'
        for axis in "XYZTM"
        if axis in axes
    )
    stain = "S" if "S" in axes else "C" if "C" in axes else None
    count = length[stain] if stain else 1
    descriptions = ""
    for channel in range(count):
        dye = (
            f"<ChannelProperty><Key>DyeName</Key><Value>{dyes[channel]}</Value></ChannelProperty>" if dyes else ""
        )
        tag = 3 - channel if stain == "S" else 0
        lut = luts[channel] if luts else "Gray"
        descriptions += (
            f'<ChannelDescription DataType="0" ChannelTag="{tag}" Resolution="{bits}" NameOfMeasuredQuantity="" '
            f'Min="0" Max="1" Unit="" LUTName="{lut}" IsLUTInverted="0" '
            f'BytesInc="{channel * (step[stain] if stain else 0)}" BitInc="0">{dye}</ChannelDescription>'
        )
    return (
        f'<Element Name="{name}"><Data><Image><ImageDescription><Channels>{descriptions}</Channels>'
        f"<Dimensions>{dimensions}</Dimensions></ImageDescription></Image></Data>"
        f'<Memory Size="{data.nbytes}" MemoryBlockID="{block}"/></Element>'
    )


def write_nd2(
    path: Path,
    pixels: np.ndarray,
    *,
    loops: Sequence[tuple[str, int]] = (),
    channels: Sequence[str] = (),
    micrometers: float | None = 0.5,
    frames: int | None = None,
) -> Path:
    """Write frames (N, H, W, C) in the layout of version 3; see `_chunk`.

    ``loops`` are those of the experiment, slowest first: T, P or Z and their lengths. ``frames`` are written, by
    default all. With ``channels`` empty, three components are the colors of one picture.
    """
    _, rows, columns, components = pixels.shape
    bits = pixels.dtype.itemsize * 8
    attributes = {
        "uiWidth": columns,
        "uiWidthBytes": columns * components * bits // 8,
        "uiHeight": rows,
        "uiComp": components,
        "uiBpcInMemory": bits,
        "uiBpcSignificant": bits,
        "uiSequenceCount": len(pixels) if frames is None else frames,
        "eCompression": 2,
    }
    probe = {"m_ExcitationSpectrum": {"uiCount": 0}, "m_EmissionSpectrum": {"uiCount": 0}}
    plane = {"uiCompCount": 1, "uiSampleIndex": 0, "uiColor": 255, "pFluorescentProbe": probe}
    planes: dict[str, Any] = {f"a{i}": {"sDescription": name, **plane} for i, name in enumerate(channels)}
    planes = planes or {"a0": {"sDescription": "RGB", **plane, "uiCompCount": components}}
    picture = {
        "sPicturePlanes": {"uiCount": len(planes), "uiCompCount": components, "sPlaneNew": planes},
        "bCalibrated": micrometers is not None,
        "dCalibration": micrometers or 0.0,
        "dAspect": 1.0,
    }
    chunks = [
        (b"ImageAttributesLV!", _variant({"SLxImageAttributes": attributes})),
        (b"ImageMetadataSeqLV|0!", _variant({"SLxPictureMetadata": picture})),
    ]
    if loops:
        chunks.append((b"ImageMetadataLV!", _variant({"SLxExperiment": _experiment(loops)})))
    for number in range(len(pixels) if frames is None else frames):
        data = struct.pack("<d", 0.0) + np.ascontiguousarray(pixels[number]).tobytes()
        chunks.append((f"ImageDataSeq|{number}!".encode(), data))
    out = _chunk(b"ND2 FILE SIGNATURE CHUNK NAME01!", b"Ver3.0".ljust(64, b"\0"), aligned=False)
    table = b""
    for name, data in chunks:
        out = out.ljust(-(-len(out) // 4096) * 4096, b"\0")
        table += name + struct.pack("<QQ", len(out), len(data))
        out += _chunk(name, data)
    out = out.ljust(-(-len(out) // 4096) * 4096, b"\0")
    end = b"ND2 CHUNK MAP SIGNATURE 0000001!"
    place = len(out)
    out += _chunk(b"ND2 FILEMAP SIGNATURE NAME 0001!", table + end + struct.pack("<Q", place))
    path.write_bytes(out + end + struct.pack("<Q", place))
    return path


def _chunk(name: bytes, data: bytes, *, aligned: bool = True) -> bytes:
    """Magic number, length of the name (which fills the page), length of the data."""
    padded = name.ljust(4072, b"\0") if aligned else name
    return struct.pack("<IIQ", 0x0ABECEDA, len(padded), len(data)) + padded + data


def _experiment(loops: Sequence[tuple[str, int]]) -> dict[str, Any]:
    axis, count = loops[0]
    parameters: dict[str, Any] = {"uiCount": count}
    if axis == "T":
        parameters |= {"dStart": 0.0, "dPeriod": 1.0, "dDuration": 1.0}
    if axis == "Z":
        parameters |= {"dZLow": 0.0, "dZHigh": 1.0, "dZStep": 0.5, "dZHome": 0.0}
    if axis == "P":
        parameters["Points"] = {f"i{n:010}": {"dPosX": 1.0 * n, "dPosY": 0.0, "dPosZ": 0.0} for n in range(count)}
    found: dict[str, Any] = {"eType": {"T": 1, "P": 2, "Z": 4}[axis], "uLoopPars": parameters}
    if axis == "P":
        found["pItemValid"] = bytes([1] * count)
    if loops[1:]:
        found["ppNextLevelEx"] = {"i0000000000": _experiment(loops[1:])}
    return found


def _variant(values: dict[str, Any]) -> bytes:
    """Write what NIS calls a lite variant: type, name in UTF-16, value; a level has count, size and offsets."""
    out = b""
    for name, value in values.items():
        text = (name + "\0").encode("utf-16-le")
        kind, data = _typed(value)
        head = struct.pack("<BB", kind, len(name) + 1) + text
        if isinstance(value, dict):
            size = len(head) + 12 + len(data)
            data = struct.pack("<IQ", len(value), size) + data + bytes(8 * len(value))
        out += head + data
    return out


def _typed(value: Any) -> tuple[int, bytes]:
    if isinstance(value, dict):
        return 11, _variant(value)
    if isinstance(value, bool):
        return 1, struct.pack("<B", value)
    if isinstance(value, int):
        return 3, struct.pack("<I", value)
    if isinstance(value, float):
        return 6, struct.pack("<d", value)
    if isinstance(value, bytes):
        return 9, struct.pack("<Q", len(value)) + value
    return 8, (value + "\0").encode("utf-16-le")


def write_ndpi(path: Path, images: Sequence[tuple[float, np.ndarray]], *, pixels_per_cm: float) -> Path:
    """Write RGB images with the power of the objective of each (-1 for the macro image), uncompressed.

    An NDPI is a little-endian TIFF. Offsets of its directories have 8 bytes. The high bytes of the tags' values
    come after the directory.
    """
    out = bytearray(b"II*\0" + bytes(8))
    link = 4
    for lens, image in images:
        data = np.ascontiguousarray(image).tobytes()
        rows, columns = image.shape[:2]
        values: list[tuple[int, int, int, bytes]] = []
        strip, bits, ratio, maker = len(out), len(out) + len(data), 0, 0
        out += data + struct.pack("<HHH", 8, 8, 8)
        ratio = len(out)
        out += struct.pack("<II", round(pixels_per_cm * abs(lens) / images[0][0]), 1)
        maker = len(out)
        out += b"Hamamatsu\0"
        for tag, kind, count, value in (
            (256, 4, 1, columns),
            (257, 4, 1, rows),
            (258, 3, 3, bits),
            (259, 3, 1, 1),
            (262, 3, 1, 2),
            (271, 2, 10, maker),
            (273, 4, 1, strip),
            (277, 3, 1, 3),
            (278, 4, 1, rows),
            (279, 4, 1, len(data)),
            (282, 5, 1, ratio),
            (283, 5, 1, ratio),
            (296, 3, 1, 3),
            (65420, 4, 1, 1),
            (65421, 11, 1, lens),
        ):
            packed = struct.pack("<f", value) if kind == 11 else struct.pack("<I", value)
            values.append((tag, kind, count, packed))
        out[link : link + 8] = struct.pack("<Q", len(out))
        out += struct.pack("<H", len(values))
        for tag, kind, count, packed in values:
            out += struct.pack("<HHI", tag, kind, count) + packed
        link = len(out)
        out += bytes(8) + bytes(4 * len(values))
    path.write_bytes(bytes(out))
    return path
