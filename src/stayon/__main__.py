"""``python -m stayon``: the command."""

from __future__ import annotations

from stayon.cli import main

if __name__ == "__main__":
    main()
