# /// script
# requires-python = ">=3.11"
# dependencies = ["stayon", "PyYAML>=6"]
# ///
"""Says which tariff holds: a service with a dependency and a file of data, for one file without a Python.

stayon build tariffs.py --data tariffs.yaml --target windows-x64
"""

import time
from pathlib import Path

import yaml

from stayon import Context, Service

service = Service("tariffs", description="Says which tariff holds")

TARIFFS = yaml.safe_load(Path(__file__).with_name("tariffs.yaml").read_text("utf-8"))


@service.every("1m")
def say(ctx: Context) -> None:
    """Log the one that has begun last."""
    hour = time.localtime().tm_hour
    name = max((name for name in TARIFFS if TARIFFS[name]["begins"] <= hour), key=lambda name: TARIFFS[name]["begins"])
    ctx.log.info("tariff", name=name, cents=TARIFFS[name]["cents"])


if __name__ == "__main__":
    service.main()
