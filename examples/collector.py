from stayon import Service

service = Service("price-collector", description="Collects prices every five seconds")


@service.every("5s")
def collect(ctx):
    ctx.log.info("collected", prices=3)


if __name__ == "__main__":
    service.main()
