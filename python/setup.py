"""Tags the wheel for the platform of the library inside; it works with every Python 3."""

from __future__ import annotations

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel


class PlatformWheel(bdist_wheel):
    """py3-none-PLATFORM: the library is loaded through ctypes and knows no Python."""

    def get_tag(self) -> tuple[str, str, str]:
        """Python, ABI and platform."""
        return "py3", "none", super().get_tag()[2]


class WithLibrary(Distribution):
    """Not pure Python."""

    def has_ext_modules(self) -> bool:
        """There is a shared library."""
        return True


setup(cmdclass={"bdist_wheel": PlatformWheel}, distclass=WithLibrary)
