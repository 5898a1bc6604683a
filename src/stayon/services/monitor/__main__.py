"""``python -m stayon.services.monitor [VERB]``."""

from __future__ import annotations

from stayon.services.monitor import service

if __name__ == "__main__":
    service.main()
