"""Streams that their reader leaves: ...-slow never stops talking, ...-aborted tells how many were left."""

import threading
import time

_left = 0
_lock = threading.Lock()


def text(model):
    """What these models say; None for all others."""
    if model.endswith("-slow"):
        return "word " * 3000
    return f"{_left} were left" if model.endswith("-aborted") else None


def write(wfile, pieces, slow):
    """Writes the pieces of a stream as chunks of HTTP, and notes if nobody reads them any more."""
    global _left
    try:
        for piece in pieces:
            wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            if slow:
                time.sleep(0.01)
        wfile.write(b"0\r\n\r\n")
    except OSError:
        with _lock:
            _left += 1
