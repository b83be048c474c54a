"""The public names, each imported when it is first used."""

import subprocess
import sys

import pytest

import desiderata


@pytest.mark.parametrize("name", desiderata.__all__)
def test_every_public_name_is_there(name: str):
    assert getattr(desiderata, name).__name__ == name
    assert name in dir(desiderata)


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'psychic'"):
        _ = desiderata.psychic


def test_importing_the_package_loads_nothing_heavy():
    heavy = ("torch", "transformers", "sklearn", "numpy", "sqlalchemy")
    code = f"import sys, desiderata; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
