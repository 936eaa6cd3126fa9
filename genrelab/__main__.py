"""`python -m genrelab` and the console script `genrelab`."""

import sys


def main() -> None:
    from genrelab.cli import main as run

    sys.exit(run())


if __name__ == "__main__":
    main()
