"""Decisions: tables and pure functions, told the time and the chance they need. No clock, file, thread or socket.

Floor: above ``errors``, below ``ports``. Only the pure parts of the standard library come in here.
"""
