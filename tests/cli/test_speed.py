"""Help answers at once, because nothing heavy is imported for it."""

import resource
import subprocess
import sys

HEAVY = ("torch", "transformers", "sklearn", "scipy", "sqlalchemy", "numpy", "PIL", "matplotlib")


def test_help_imports_nothing_heavy_and_is_quick():
    code = (
        "import sys; from desiderata.cli import main; main(['--help']); "
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    took = []
    for _ in range(3):  # time of the processor, and the best of three: the machine may be busy
        start = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        end = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(end.ru_utime + end.ru_stime - start.ru_utime - start.ru_stime)
    assert done.stdout.splitlines()[-1] == "[]"
    for command in ("new", "ask", "tell", "skip", "run", "status", "report"):
        assert f" {command} " in done.stdout
    assert min(took) < 0.5


def test_help_of_every_command_is_quick():
    code = (
        "import sys; from desiderata.cli import main\n"
        "for name in ('new', 'ask', 'tell', 'skip', 'run', 'status', 'report'): assert main([name, '--help']) == 0\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
