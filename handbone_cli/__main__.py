"""`python -m handbone_cli`, as torchrun starts it."""

from handbone_cli.cli import main

if __name__ == "__main__":
    main()
