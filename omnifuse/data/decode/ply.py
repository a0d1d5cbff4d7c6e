"""Polygon files (PLY, Turk 1994): the vertices, ascii or binary of either byte order."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from omnifuse.data.decode.rows_of_text import read_rows
from omnifuse.data.fetch import BadValue

MAX_HEADER = 65_536
TYPES = {
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4", "double": "f8"},
    **{"int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8"},
}
ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}


@dataclass
class _Element:
    name: str
    count: int
    properties: list[tuple[str, str]] = field(default_factory=list)
    has_list: bool = False


def read_ply(data: bytes, max_points: int) -> dict[str, np.ndarray]:
    """Columns of the element `vertex` by name; faces and others are left out.

    Raises:
        BadValue: a header that cannot be followed or says more than is there, or more than `max_points`.
    """
    order, elements, start, lines = _header(data)
    for element in elements:
        if element.name == "vertex":
            return _vertices(data, element, order, start, lines, max_points)
        if element.has_list:
            raise BadValue(f'the lists of the element "{element.name}" stand before the vertices, which is not supported')
        if order:
            start += element.count * _layout(element, order).itemsize
        else:
            for _ in range(element.count):
                start = data.find(b"\n", start) + 1
                lines += 1
                if not start:
                    raise BadValue(f'cut off: the element "{element.name}" in front of the points is longer than the file')
    raise BadValue('there is no element "vertex" in this .ply file')


def _vertices(data: bytes, vertex: _Element, order: str, start: int, lines: int, max_points: int) -> dict[str, np.ndarray]:
    if vertex.has_list:
        raise BadValue("vertices with lists are not supported")
    if not 0 < vertex.count <= max_points or not vertex.properties:
        raise BadValue(f"the header says {vertex.count} points; 1 to {max_points} can be read")
    names = [name for name, _ in vertex.properties]
    if not order:
        table = read_rows(data, start, vertex.count, len(names), lines)
        return dict(zip(names, table.T, strict=True))
    layout = _layout(vertex, order)
    if vertex.count * layout.itemsize > len(data) - start:
        raise BadValue(f"damaged: the header says {vertex.count * layout.itemsize} bytes of points and {len(data) - start} are there")
    rows = np.frombuffer(data, layout, vertex.count, start)
    return {name: rows[name] for name in names}


def _layout(element: _Element, order: str) -> np.dtype:
    try:
        return np.dtype([(name, order + kind) for name, kind in element.properties])
    except ValueError as error:  # two properties of one name
        raise BadValue(f"damaged: the header of this .ply file contradicts itself ({error})") from None


def _header(data: bytes) -> tuple[str, list[_Element], int, int]:
    """Byte order (empty for text), elements, where the header ends, and its number of lines."""
    end = data.find(b"end_header", 0, MAX_HEADER)
    newline = data.find(b"\n", end)
    if end < 0 or newline < 0:
        raise BadValue("damaged: the header of this .ply file has no end")
    lines = data[:end].decode("latin-1").splitlines()
    order, elements = None, list[_Element]()
    try:
        for words in (line.split() for line in lines):
            if words[:1] == ["format"]:
                order = ORDERS[words[1]]
            elif words[:1] == ["element"]:
                elements.append(_Element(words[1], int(words[2])))
            elif words[:2] == ["property", "list"]:
                elements[-1].has_list = True
            elif words[:1] == ["property"]:
                elements[-1].properties.append((words[2], TYPES[words[1]]))
    except (KeyError, ValueError, IndexError):
        raise BadValue("damaged: the header of this .ply file cannot be followed") from None
    if order is None or any(element.count < 0 for element in elements):
        raise BadValue("damaged: the header of this .ply file cannot be followed")
    return order, elements, newline + 1, len(lines) + 1
