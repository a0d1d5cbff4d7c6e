"""Questions about pictures of one coloured shape."""
