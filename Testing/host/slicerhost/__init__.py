"""A test host: runs a scripted Slicer module on slicer-core (and PySide6) without the 3D Slicer application.

It is not 3D Slicer and does not pretend to be: what it lacks raises. Module code never imports it.

Names in camelCase imitate names of Slicer, CTK or Qt; names in snake_case are the host's own.

    import slicerhost
    host = slicerhost.start()            # real MRML scene and logics, slicer.app, slicer.modules; no Qt, no rendering library
    host = slicerhost.start(qt=True)     # in addition: qt, ctk and the stand-in widgets
"""


def start(qt: bool = False):
    """Start the host, or return the one that runs in this process.

    Args:
        qt: also start the Qt side (needs PySide6 and its system libraries). Can be added to a running host.

    Returns:
        slicerhost.host.Host.
    """
    from .host import start_host  # here: without slicer-core the package still explains what is missing

    return start_host(qt)
