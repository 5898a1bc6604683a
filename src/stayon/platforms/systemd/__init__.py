"""systemd: who starts us there and is told how we are, and (for the verbs) who keeps services.

Floor: as ``platforms``. A service that runs loads ``starter``, ``notify`` and ``sockets`` only.
"""
