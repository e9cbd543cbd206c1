"""pyarrow, orjson and librdkafka: the quickest way there is in Python without an engine."""
import json
import resource
import sys
import time

import orjson
import pyarrow.parquet as parquet
from confluent_kafka import Producer

settings = json.loads(sys.argv[1])
producer = Producer(
    {
        "bootstrap.servers": ",".join(settings["brokers"]),
        "acks": "all",
        "enable.idempotence": True,
        "batch.size": settings["batchBytes"],
        "linger.ms": settings["lingerMs"],
        "queue.buffering.max.messages": 200_000,
    }
)
failures = []


def acknowledged(error, _message):
    if error is not None:
        failures.append(error)


def send(topic, most):
    sent = 0
    for path in settings["paths"]:
        for batch in parquet.ParquetFile(path).iter_batches(10_000):
            for row in batch.slice(0, most - sent).to_pylist():
                value = orjson.dumps(row)
                while True:
                    try:
                        producer.produce(topic, value, on_delivery=acknowledged)
                        break
                    except BufferError:
                        producer.poll(0.1)
                sent += 1
            producer.poll(0)
            if sent == most:
                break
        if sent == most:
            break
    producer.flush()
    if failures:
        raise RuntimeError(failures[0])
    return sent


def cpu_seconds():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


send(settings["warmupTopic"], settings["warmupRows"])
cpu, started = cpu_seconds(), time.monotonic()
rows = send(settings["topic"], settings["rows"])
seconds = time.monotonic() - started
print(
    json.dumps(
        {
            "rows": rows,
            "seconds": seconds,
            "cpuSeconds": cpu_seconds() - cpu,
            "peakRssMb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        }
    )
)
