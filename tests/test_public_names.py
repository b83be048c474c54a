"""The public names, each imported when it is first used."""

import subprocess
import sys
from types import ModuleType

import pytest

import desiderata
from desiderata import personalize

NAMES = [(package, name) for package in (desiderata, personalize) for name in package.__all__]


@pytest.mark.parametrize(("package", "name"), NAMES)
def test_every_public_name_is_there(package: ModuleType, name: str):
    assert name in dir(package)
    assert getattr(package, name).__name__ == name


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'psychic'"):
        _ = desiderata.psychic


@pytest.mark.parametrize("module", ["answers", "bringing", "looking", "choosing"])
def test_a_taught_run_is_looked_at_without_torch(module: str):
    code = f"import sys, desiderata.personalize.{module}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_importing_the_package_loads_nothing_heavy():
    heavy = ("torch", "transformers", "sklearn", "numpy", "sqlalchemy")
    code = f"import sys, desiderata.personalize; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
