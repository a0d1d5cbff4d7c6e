"""Activities from the accelerometer and the gyroscope of a watch, a column each."""
