"""The service: which of the monitor's methods is called when."""

from __future__ import annotations

from stayon import Service
from stayon.services.monitor.monitor import Monitor
from stayon.services.monitor.settings import Settings

service = Service("monitor", description="Watches endpoints: HTTP, TCP and TLS", config=Settings)
monitor = Monitor()

service.on_start(monitor.start)
service.on_reload(monitor.reload)
service.on_stop(monitor.stop)
service.task(monitor.history.write, name="history")
service.task(monitor.delivery.deliver, name="alerts")
service.check(monitor.alerts_arrive, name="alerts", fall=1)
service.check(monitor.history_is_written, name="history", fall=1)
