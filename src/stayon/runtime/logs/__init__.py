"""Logs: records as lines of JSON (or coloured text), written whole, to sinks that may fail without hurting the service.

One line of JSON has, in this order: ``time`` (ISO 8601, UTC, milliseconds, Z), ``level``, ``logger``, ``service``,
``instance``*, ``pid``, ``message``, ``event``*, ``job``*, ``fields``* (what the caller gave by name: a table of its
own, so that no field passes for one of ours), ``exception``* (``type``, ``message``, ``stack``). Those with a star are
left out when empty. A line is ASCII, ends in one newline, and is never longer than ``encode.LINE_LIMIT``.
"""
