"""Make sure that rendering and Qt find the system libraries they need; install them where that is possible, else say how."""

import ctypes
import os
import shutil
import subprocess
import sys

# Library that must load -> Debian package that brings it.
_NEEDED = {
    "libEGL.so.1": "libegl1",
    "libGL.so.1": "libgl1",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libfontconfig.so.1": "libfontconfig1",
    "libxkbcommon.so.0": "libxkbcommon0",
    "libdbus-1.so.3": "libdbus-1-3",
}


def missing_packages() -> list[str]:
    """Debian packages whose library does not load."""
    missing = []
    for library, package in _NEEDED.items():
        try:
            ctypes.CDLL(library)
        except OSError:
            missing.append(package)
    return missing


def main() -> int:
    """Install what is missing as root on Debian and Ubuntu; elsewhere print the one command to run."""
    if not sys.platform.startswith("linux"):
        return 0  # Windows and macOS bring OpenGL and fonts along
    packages = missing_packages()
    if not packages:
        return 0
    if os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], check=False)
        subprocess.run(["apt-get", "install", "-y", "-qq", *packages], check=False)
        packages = missing_packages()
    if packages:
        print(f"Rendering needs libraries that are missing; run: sudo apt-get install {' '.join(packages)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
