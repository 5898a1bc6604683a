"""The peer of the Windows figures with pywin32, as its documentation has it, hosted by a plain python.exe.

A line of JSON every five seconds into the file that the argument names; STOP, PAUSE, CONTINUE, INTERROGATE.
"""

import json
import os
import sys
import time

import servicemanager
import win32event
import win32service
import win32serviceutil


class Collector(win32serviceutil.ServiceFramework):
    """The service."""

    _svc_name_ = "collector"
    _svc_display_name_ = "collector"

    def __init__(self, args: list[str]) -> None:
        super().__init__(args)
        self.stopping = win32event.CreateEvent(None, 0, 0, None)
        self.resting = False

    def SvcStop(self) -> None:  # noqa: N802  # pywin32's name, as the others
        self.ReportServiceStatus(win32service.SERVICE_STOP_PENDING)
        win32event.SetEvent(self.stopping)

    def SvcPause(self) -> None:  # noqa: N802  # as above
        self.resting = True
        self.ReportServiceStatus(win32service.SERVICE_PAUSED)

    def SvcContinue(self) -> None:  # noqa: N802  # as above
        self.resting = False
        self.ReportServiceStatus(win32service.SERVICE_RUNNING)

    def SvcDoRun(self) -> None:  # noqa: N802  # as above
        self.ReportServiceStatus(win32service.SERVICE_RUNNING)
        with open(sys.argv[1], "a", encoding="utf-8") as file:  # opened once, as the others do
            while True:
                if not self.resting:
                    file.write(json.dumps(line()) + "\n")
                    file.flush()
                if win32event.WaitForSingleObject(self.stopping, 5000) == win32event.WAIT_OBJECT_0:
                    return


def line() -> dict[str, object]:
    """What is logged."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "level": "info", "service": "collector",
        "pid": os.getpid(), "message": "collected", "fields": {"prices": 3},
    }  # fmt: skip


if __name__ == "__main__":
    servicemanager.Initialize()
    servicemanager.PrepareToHostSingle(Collector)
    servicemanager.StartServiceCtrlDispatcher()
