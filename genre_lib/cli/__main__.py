import sys

from genre_lib.cli import main

sys.exit(main())
