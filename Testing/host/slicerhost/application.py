"""Stand-ins for qSlicerApplication, its modules and its module manager.

Only the listed members exist; anything else is an AttributeError, on purpose.
"""

import importlib.metadata
import os
import sys
import types

import slicer

from .io_manager import CoreIOManager


def require_qt(what: str) -> types.ModuleType:
    """The host's `qt` module.

    Raises:
        RuntimeError: the host was started without Qt.
    """
    if "qt" not in sys.modules:
        raise RuntimeError(f"{what} needs Qt: start the host with slicerhost.start(qt=True).")
    return sys.modules["qt"]


class _Signals:
    """PythonQt's obj.connect("signal(args)", slot) for the few signals a module may connect to."""

    def __init__(self, *signatures: str):
        self._slots = {signature: [] for signature in signatures}

    def connect(self, signature, slot) -> bool:
        self._slots_of(signature).append(slot)
        return True

    def disconnect(self, signature, slot) -> bool:
        self._slots_of(signature).remove(slot)
        return True

    def emit(self, signature, *args) -> None:
        for slot in list(self._slots_of(signature)):
            slot(*args)

    def _slots_of(self, signature):
        if signature not in self._slots:
            raise ValueError(f"The host has no signal {signature}; it has {', '.join(self._slots)}.")
        return self._slots[signature]


class Module:
    """A loadable module of Slicer: name, path and the real VTK logic."""

    __slots__ = ("_logic", "name", "path")

    def __init__(self, name: str, logic=None, path: str = ""):
        self.name = name
        self.path = path
        self._logic = logic

    def logic(self):
        return self._logic


class ModuleManager:
    """Knows the modules that the host provides and publishes them as slicer.modules.<lower case name>."""

    def __init__(self):
        self._modules = {}
        self._signals = _Signals("moduleAboutToBeUnloaded(QString)", "moduleLoaded(QString)")
        self.connect = self._signals.connect
        self.disconnect = self._signals.disconnect

    def add(self, module: Module) -> None:
        self._modules[module.name.lower()] = module
        setattr(slicer.modules, module.name.lower(), module)
        setattr(slicer.moduleNames, module.name, module.name)

    def remove(self, module: Module) -> None:
        self._signals.emit("moduleAboutToBeUnloaded(QString)", module.name)
        del self._modules[module.name.lower()]
        delattr(slicer.modules, module.name.lower())
        delattr(slicer.moduleNames, module.name)

    def module(self, name: str) -> Module | None:
        return self._modules.get(name.lower())

    def modulesNames(self) -> tuple[str, ...]:
        return tuple(module.name for module in self._modules.values())


class Application:
    """The part of qSlicerApplication that a module may touch (`slicer.app`)."""

    __slots__ = (
        "_applicationLogic",
        "_ioManager",
        "_moduleManager",
        "_signals",
        "applicationName",
        "majorVersion",
        "minorVersion",
        "temporaryPath",
    )

    def __init__(self, application_logic, temporary_path: str):
        self._applicationLogic = application_logic
        self._ioManager = CoreIOManager()
        self._moduleManager = ModuleManager()
        self._signals = _Signals("startupCompleted()", "aboutToQuit()")
        self.applicationName = "SlicerHost"
        self.temporaryPath = temporary_path
        version = importlib.metadata.version("slicer-core").split(".")  # slicer-core carries Slicer's own numbers
        self.majorVersion, self.minorVersion = int(version[0]), int(version[1])

    def mrmlScene(self):
        return self._applicationLogic.GetMRMLScene()

    def applicationLogic(self):
        return self._applicationLogic

    def coreIOManager(self) -> CoreIOManager:
        return self._ioManager

    def ioManager(self) -> CoreIOManager:
        return self._ioManager

    def moduleManager(self) -> ModuleManager:
        return self._moduleManager

    def layoutManager(self):
        """None, as in a Slicer that runs without its main window, until a slice view is open."""
        views = sys.modules.get(f"{__package__}.views.slice_view")
        return None if views is None else views.layout_manager()

    def connect(self, signature, slot) -> bool:
        return self._signals.connect(signature, slot)

    def disconnect(self, signature, slot) -> bool:
        return self._signals.disconnect(signature, slot)

    def processEvents(self, *_) -> None:
        if "qt" in sys.modules:
            sys.modules["qt"].QCoreApplication.processEvents()

    def testingEnabled(self) -> bool:
        """True: slicer.util then logs its message boxes instead of waiting for a click."""
        return True

    def setOverrideCursor(self, cursor) -> None:
        qt = require_qt("slicer.app.setOverrideCursor")
        qt.QApplication.setOverrideCursor(qt.QCursor(cursor))

    def restoreOverrideCursor(self) -> None:
        require_qt("slicer.app.restoreOverrideCursor").QApplication.restoreOverrideCursor()

    def topLevelWidgets(self) -> list:
        return sys.modules["qt"].QApplication.topLevelWidgets() if "qt" in sys.modules else []

    def thread(self):
        return require_qt("slicer.app.thread").QCoreApplication.instance().thread()

    def userSettings(self):
        """Settings of the test run only; the user's own are never read or written."""
        return require_qt("slicer.app.userSettings").QSettings()

    settings = userSettings

    def pauseRender(self) -> None:
        """Nothing to pause: the host renders only when asked."""

    def resumeRender(self) -> None:
        """See pauseRender."""

    def translate(self, _context, text, _disambiguation=None, _count=-1) -> str:
        return text

    def startupEnvironment(self):
        """The environment the application was started in: QProcessEnvironment, or its keys() and value() without Qt."""
        if "qt" in sys.modules:
            return sys.modules["qt"].QProcessEnvironment.systemEnvironment()
        return types.SimpleNamespace(keys=lambda: list(os.environ), value=os.environ.__getitem__)
