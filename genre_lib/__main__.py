"""``genre``, and ``python -m genre_lib``: Ctrl-C is heard while the commands are still being imported, too."""

import sys


def main() -> int:
    try:
        from genre_lib.cli import main as command

        return command()
    except KeyboardInterrupt:
        print("error: stopped.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
