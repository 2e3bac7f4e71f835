"""Windows and macOS lack some of what Linux has: everything imports without it, and who uses it is listed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src"
POSIX_MODULES = {"fcntl", "grp", "posix", "pty", "pwd", "resource", "syslog", "termios", "tty"}
# What Windows or macOS lacks, each with the files that use it; all of them ask first whether it is there.
POSIX_NAMES: dict[str, set[str]] = {
    "os.register_at_fork": {"runtime/ctrl_c.py"},
    "os.sched_getaffinity": {"runtime/worker_pool.py"},
    "os.sync": {"runtime/outputs.py"},
    "os.sysconf": {"runtime/device_memory.py"},
    "signal.SIG_BLOCK": {"runtime/worker_pool.py"},
    "signal.SIG_SETMASK": {"runtime/worker_pool.py"},
    "signal.pthread_sigmask": {"runtime/worker_pool.py"},
}
_ONLY_POSIX = {
    "os": {
        "chown", "fork", "forkpty", "getloadavg", "getpgid", "getuid", "geteuid", "killpg", "mkfifo", "nice",
        "register_at_fork", "sched_getaffinity", "sched_setaffinity", "setpgid", "setsid", "sync", "sysconf",
        "uname", "wait4", "waitpid", "WNOHANG",
    },
    "signal": {
        "SIGALRM", "SIGCHLD", "SIGHUP", "SIGKILL", "SIGPIPE", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIG_BLOCK",
        "SIG_SETMASK", "SIG_UNBLOCK", "alarm", "pthread_kill", "pthread_sigmask", "setitimer", "sigwait",
    },
}  # fmt: skip

WITHOUT_POSIX = f"""
import importlib, pkgutil, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name not in {POSIX_MODULES!r}:
            return None
        frame = sys._getframe(1)
        while "importlib" in frame.f_code.co_filename:
            frame = frame.f_back
        # only ours must do without: what stands below has ways of its own on other systems
        if frame.f_globals["__name__"].startswith("unblind"):
            raise ImportError(name + " is not on this system")

sys.meta_path.insert(0, Blocked())
for name in {sorted(POSIX_MODULES)!r}:
    sys.modules.pop(name, None)
try:
    exec("import fcntl", {{"__name__": "unblind.probe"}})
    raise SystemExit("the block does not work")
except ImportError:
    pass
import unblind
for module in pkgutil.walk_packages(unblind.__path__, "unblind."):
    if module.name != "unblind.__main__":
        importlib.import_module(module.name)
print("all imported")
"""


def posix_imports(tree: ast.AST) -> set[str]:
    """The POSIX modules that a file imports."""
    names = [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    return POSIX_MODULES.intersection(names)


def posix_names(tree: ast.AST) -> set[str]:
    """The attributes of `os` and `signal` in a file that some systems lack."""
    return {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.attr in _ONLY_POSIX.get(node.value.id, ())
    }


def test_no_file_imports_what_only_posix_has() -> None:
    found = {
        str(path): modules
        for path in SOURCE.rglob("*.py")
        if (modules := posix_imports(ast.parse(path.read_text("utf-8"))))
    }
    assert not found


def test_who_uses_what_only_posix_has_is_listed() -> None:
    found: dict[str, set[str]] = {}
    for path in SOURCE.rglob("*.py"):
        for name in posix_names(ast.parse(path.read_text("utf-8"))):
            found.setdefault(name, set()).add(path.relative_to(SOURCE / "unblind").as_posix())
    assert found == POSIX_NAMES, "ask with hasattr() before you use it, then list it here"


def test_everything_imports_without_posix_modules() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_POSIX], capture_output=True, text=True, timeout=300)
    assert done.stdout.endswith("all imported\n"), done.stderr
