"""The worker on another computer: `mednextseg serve`, and the relay that stands for it on the computer of the panel.

    panel <- pipes -> relay.py  <- WebSocket over TLS ->  server.py, a session.py for each connection  <- pipes -> a worker of its own

Text frames are the lines of worker/protocol.py; binary frames carry arrays (frames.py). Nothing in Slicer's process knows of it.
"""
