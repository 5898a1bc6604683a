"""launchd, the service manager of macOS: what it is told, how it is asked, and how a service that it started hears it.

Facts are of launchd.plist(5), launchctl(1) and launch(3). Floor: beside systemd and windows, which it doesn't know.
"""
