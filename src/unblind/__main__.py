"""`python -m unblind`, which launchers of several processes start."""

from unblind.cli import main

if __name__ == "__main__":
    main()
