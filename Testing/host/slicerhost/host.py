"""Starts the host, once per process, and holds what tests need around a module."""

import atexit
import os
import shutil
import sys
import tempfile
import time
import types

import slicer

from . import scene, slicer_python
from .application import Application, Module
from .module_loader import qSlicerScriptedLoadableModule

_running: "Host | None" = None


class Host:
    """The running host. Made by slicerhost.start(); the scene is slicer.mrmlScene, the application slicer.app."""

    def __init__(self):
        self.temporary_path = tempfile.mkdtemp(prefix="slicerhost-")
        atexit.register(shutil.rmtree, self.temporary_path, ignore_errors=True)
        self.has_qt = False
        self._scripted_modules: list[qSlicerScriptedLoadableModule] = []
        self._start_scene()

    @property
    def scene(self):
        """The MRML scene (vtkMRMLScene)."""
        return slicer.mrmlScene

    @property
    def app(self) -> Application:
        """slicer.app."""
        return slicer.app

    def load_module(self, path: str | os.PathLike) -> qSlicerScriptedLoadableModule:
        """Load a scripted module's file as Slicer does at start-up.

        Args:
            path: the module's .py file; its folder goes to sys.path.

        Returns:
            The module, also published as slicer.modules.<lower case name>. Its panel: widgetRepresentation().
        """
        module = qSlicerScriptedLoadableModule(os.fspath(path))
        self.app.moduleManager().add(module)
        module.load()
        self._scripted_modules.append(module)
        return module

    def unload_modules(self) -> None:
        """Close the panels of all scripted modules and forget the modules, as Slicer does at its end."""
        for module in self._scripted_modules:
            module.unload()
        self._scripted_modules = []
        self.process_events()

    def clear_scene(self) -> None:
        """Close the scene as the user does (singleton nodes stay, reset) and leave place mode."""
        interaction = self.app.applicationLogic().GetInteractionNode()
        interaction.SetCurrentInteractionMode(interaction.ViewTransform)
        self.scene.Clear(False)

    def process_events(self) -> None:
        """Let Qt handle what is pending, deletions included. Without Qt: nothing to do."""
        if not self.has_qt:
            return
        qt = sys.modules["qt"]
        qt.QCoreApplication.processEvents()
        qt.QCoreApplication.sendPostedEvents(None, qt.QEvent.DeferredDelete.value)

    def wait_until(self, condition, timeout_s: float = 10.0) -> None:
        """Run the event loop until condition() is true.

        Args:
            condition: callable without arguments.
            timeout_s: seconds to wait at most.

        Raises:
            TimeoutError: the condition stayed false.
        """
        end = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > end:
                raise TimeoutError(f"Condition still false after {timeout_s} s.")
            self.process_events()
            time.sleep(0.002)

    def start_qt(self) -> None:
        """Add the Qt side: qt, ctk, the stand-in widgets and one QApplication; idempotent."""
        if self.has_qt:
            return
        os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
        from .widgets import qt_shim

        qt = qt_shim.install()
        qt.QCoreApplication.setOrganizationName("SlicerHost")
        qt.QCoreApplication.setApplicationName("SlicerHost")
        # The user's own settings are neither read nor written.
        qt.QSettings.setDefaultFormat(qt.QSettings.IniFormat)
        qt.QSettings.setPath(qt.QSettings.IniFormat, qt.QSettings.UserScope, self.temporary_path)
        self._qt_application = qt.QApplication.instance() or qt.QApplication(["slicerhost"])
        self._qt_application.setQuitOnLastWindowClosed(False)
        from .widgets import stand_ins

        stand_ins.install()
        if slicer_python.uses_slicers_own_files():
            stand_ins.install_absent(slicer_python.WIDGETS_MENTIONED_BY_SLICER)
        self.has_qt = True

    def _start_scene(self) -> None:
        scene.remove_leaked_names()
        scene.send_vtk_messages_to_stderr()
        application_logic = scene.create_application_logic(self.temporary_path)
        slicer.mrmlScene = application_logic.GetMRMLScene()
        for name in ("modules", "moduleNames"):
            module = types.ModuleType(f"slicer.{name}")
            sys.modules[module.__name__] = module
            setattr(slicer, name, module)
        slicer.app = Application(application_logic, self.temporary_path)
        slicer.qSlicerScriptedLoadableModule = qSlicerScriptedLoadableModule
        for name, logic in scene.create_module_logics(application_logic).items():
            slicer.app.moduleManager().add(Module(name, logic))
        scene.keep_subject_hierarchy_in_step(slicer.mrmlScene)


def start_host(qt: bool) -> Host:
    """See slicerhost.start."""
    global _running  # noqa: PLW0603 - one scene and one QApplication per process, as in Slicer
    first = _running is None
    if first:
        _running = Host()
    if qt or slicer_python.uses_slicers_own_files():
        _running.start_qt()
    if first:
        slicer_python.publish()
    return _running
