"""The command's first steps, for `unblind`, `python -m unblind`, and launchers of several processes."""

from typing import NoReturn

from unblind.runtime.ctrl_c import ended_by_ctrl_c


def main() -> NoReturn:
    """Run the command line; Ctrl-C is met from here on, while all the rest is imported, too."""
    with ended_by_ctrl_c():
        from unblind import cli

        cli.main()


if __name__ == "__main__":
    main()
