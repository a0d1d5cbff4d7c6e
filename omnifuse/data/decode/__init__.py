"""The decode gate: the one place where media bytes become arrays, with limits that stand before the work."""

from omnifuse.data.decode.audio import decode_audio as decode_audio
from omnifuse.data.decode.audio import encode_audio as encode_audio
from omnifuse.data.decode.image import decode_image as decode_image
from omnifuse.data.decode.image import encode_image as encode_image
from omnifuse.data.decode.image import image_size as image_size
from omnifuse.data.decode.points import decode_points as decode_points
from omnifuse.data.decode.points import encode_points as encode_points
from omnifuse.data.decode.series import decode_series as decode_series
from omnifuse.data.decode.series import encode_series as encode_series
from omnifuse.data.decode.video import decode_video as decode_video
from omnifuse.data.decode.video import encode_video as encode_video
