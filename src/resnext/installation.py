"""What is installed here, on which machine: what a reader of an issue must know. See `find_installation`.

It works where a package is missing or broken, so it imports torch last and nothing else that is heavy.
"""

from __future__ import annotations

import os
import platform
import re
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from resnext.errors import PackageMissing
from resnext.version import __version__

NAME = "resnext"
#: Extras for the people who work on the package; `all` repeats the others.
OF_DEVELOPERS = ("dev", "all")
#: Variables of the environment that change what is computed or how fast. None of them holds a secret.
VARIABLES = (
    *("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MKL_NUM_THREADS", "OPENBLAS_CORETYPE"),
    *("CUDA_VISIBLE_DEVICES", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_ALLOC_CONF", "CUBLAS_WORKSPACE_CONFIG"),
    *("WORLD_SIZE", "RANK", "LOCAL_RANK", "SLURM_NTASKS", "HF_HUB_OFFLINE", "MPLBACKEND"),
)
_REQUIREMENT = re.compile(r"([\w.-]+)(?:\[([\w,-]+)\])?([^;]*)(?:;.*\bextra == ['\"]([\w-]+)['\"])?")


@dataclass(frozen=True)
class Package:
    """A package that this one needs, or that an extra brings.

    Attributes:
        name: Its name in the package index.
        version: The version that is installed; None if it is missing.
        needed: The versions that will do, as `>=2.11`; may be empty.
    """

    name: str
    version: str | None
    needed: str = ""

    @property
    def problem(self) -> str:
        """What is wrong with it; empty if nothing is.

        >>> Package("torch", "2.9.1+cpu", ">=2.11").problem
        'torch 2.9.1+cpu is too old: >=2.11 is needed'
        """
        if self.version is None:
            return f"{self.name} is missing"
        too_old = any(_release(self.version) < _release(least) for least in _lower_bounds(self.needed))
        return f"{self.name} {self.version} is too old: {self.needed} is needed" if too_old else ""


@dataclass(frozen=True)
class Extra:
    """An extra of this package, `resnext[name]`, and the packages that it brings."""

    name: str
    packages: tuple[Package, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with its packages; none if it is installed."""
        return tuple(package.problem for package in self.packages if package.problem)


@dataclass(frozen=True)
class Computing:
    """What torch computes on.

    Attributes:
        processor: Name of the processor and number of cores that this process may use.
        threads: Threads that torch computes on.
        devices: Names of the devices, the CPU first, each as `cuda:0: NVIDIA H200, bfloat16`.
        cuda: The version of CUDA that torch was built for; None for the CPU build.
    """

    processor: str
    threads: int
    devices: tuple[str, ...]
    cuda: str | None


@dataclass(frozen=True)
class Installation:
    """What is installed, and on which machine.

    Attributes:
        version: Of this package.
        python: Implementation and version of Python.
        system: The operating system, its version and kind of processor.
        packages: What the package needs.
        extras: Its extras, without those for developers.
        computing: What torch computes on; None if torch cannot be imported.
        broken: Why torch cannot be imported; empty if it can.
        variables: Those of `VARIABLES` that are set.
    """

    version: str
    python: str
    system: str
    packages: tuple[Package, ...]
    extras: tuple[Extra, ...]
    computing: Computing | None
    broken: str
    variables: dict[str, str]

    @property
    def problems(self) -> tuple[str, ...]:
        """What keeps the package from working: what it needs and lacks. A missing extra is no problem."""
        missing = tuple(package.problem for package in self.packages if package.problem)
        return missing + ((self.broken,) if self.broken else ())

    def check(self) -> None:
        """Raises `PackageMissing` if something that the package needs is missing, too old or broken."""
        if self.problems:
            cure = "pip install --force-reinstall torch" if self.broken else f"pip install --upgrade {NAME}"
            raise PackageMissing(f"{'; '.join(self.problems)}; {cure}")

    def to_json(self) -> dict[str, Any]:
        """All of it, and the problems, as JSON has it."""
        value = asdict(self) | {"problems": list(self.problems)}
        for extra, described in zip(self.extras, value["extras"], strict=True):
            described["problems"] = list(extra.problems)
        return value


def find_installation() -> Installation:
    """What is installed here. Nothing is sent anywhere, and no path or name of a user is in it.

    Where the package itself was not installed, as when its source is on PYTHONPATH, what it needs is unknown
    and `packages` and `extras` are empty.

    >>> find_installation().version == __version__
    True
    """
    try:
        requirements = requires(NAME) or []
    except PackageNotFoundError:
        requirements = []
    needed, by_extra = read_requirements(requirements)
    computing, broken = _find_computing()
    return Installation(
        version=__version__,
        python=f"{platform.python_implementation()} {platform.python_version()}",
        system=platform.platform(),
        packages=needed,
        extras=tuple(
            Extra(name, packages) for name, packages in by_extra.items() if name not in OF_DEVELOPERS
        ),
        computing=computing,
        broken=broken,
        variables={name: os.environ[name] for name in VARIABLES if name in os.environ},
    )


def read_requirements(
    requirements: list[str],
) -> tuple[tuple[Package, ...], dict[str, tuple[Package, ...]]]:
    """What is always needed, and what each extra brings, by name; one that names another has its packages.

    Args:
        requirements: Lines as a distribution's metadata have them, as `onnx>=1.18; extra == 'onnx'`.

    >>> read_requirements(["a>=1", "b; extra == 'x'", "resnext[x]; extra == 'y'"])[1]["y"]
    (Package(name='b', version=None, needed=''),)
    """
    needed: list[Package] = []
    by_extra: dict[str, list[Package]] = {}
    named: list[tuple[str, str]] = []
    for line in requirements:
        if (match := _REQUIREMENT.match(line)) is None:
            continue
        name, extras_of_it, versions, extra = match.groups()
        package = Package(name, _version(name), versions.strip())
        if extra is None:
            needed.append(package)
        elif name == NAME:
            named += [(extra, one) for one in extras_of_it.split(",")]
            by_extra.setdefault(extra, [])
        else:
            by_extra.setdefault(extra, []).append(package)
    for extra, other in named:
        by_extra[extra] += [one for one in by_extra.get(other, ()) if one not in by_extra[extra]]
    return tuple(needed), {name: tuple(packages) for name, packages in sorted(by_extra.items())}


def _find_computing() -> tuple[Computing | None, str]:
    """What torch computes on, or why it cannot be imported."""
    try:
        import torch

        from resnext.machine import cpu_name, find_machine
    except (ImportError, OSError) as error:  # OSError: a library of it that cannot be loaded
        return None, f"torch cannot be imported ({str(error).splitlines()[0]})"
    names = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        names.append("mps")
    devices = []
    for name in names:
        try:
            machine = find_machine(name)
        except Exception as error:  # a driver that does not fit, a GPU that another process holds, ...
            devices.append(f"{name}: {str(error).splitlines()[0]}")
        else:
            devices.append(f"{name}: {machine.name}, {'' if machine.bfloat16 else 'no '}bfloat16")
    cuda = torch.version.cuda if isinstance(torch.version.cuda, str) else None
    if cuda is not None and "cuda:0" not in names:
        devices.append("cuda: no GPU that torch can use; `nvidia-smi` tells whether the driver runs")
    return Computing(cpu_name(), torch.get_num_threads(), tuple(devices), cuda), ""


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _lower_bounds(needed: str) -> list[str]:
    return re.findall(r">=\s*([\w.]+)", needed)


def _release(text: str) -> tuple[int, ...]:
    """The numbers of a version: of 2.13.0+cpu and of 2.13 they are (2, 13), and so comparable."""
    numbers = [int(one) for one in re.findall(r"\d+", re.split(r"[^\d.]", text)[0])]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)
