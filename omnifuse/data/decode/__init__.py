"""The decode gate: the one place where media bytes become arrays, with limits that stand before the work."""

from omnifuse.data.decode.image import decode_image as decode_image
from omnifuse.data.decode.image import encode_image as encode_image
from omnifuse.data.decode.image import image_size as image_size
