"""Spark, `to_json` into its Kafka sink. Warm: the pass that counts is the second over all rows, in the same session."""
import json
import os
import sys
import time

from pyspark.sql import SparkSession

settings = json.loads(sys.argv[1])
spark = (
    SparkSession.builder.master(f"local[{os.cpu_count()}]")
    .config("spark.jars", ",".join(settings["jars"]))
    .config("spark.driver.bindAddress", "127.0.0.1")
    .config("spark.driver.host", "127.0.0.1")
    .config("spark.ui.enabled", "false")
    .getOrCreate()
)
spark.sparkContext.setLogLevel("ERROR")


def send(topic):
    table = spark.read.parquet(*settings["paths"])
    (
        table.selectExpr("to_json(struct(*)) AS value")
        .write.format("kafka")
        .option("kafka.bootstrap.servers", ",".join(settings["brokers"]))
        .option("topic", topic)
        .option("kafka.acks", "all")
        .option("kafka.enable.idempotence", "true")
        .option("kafka.batch.size", settings["batchBytes"])
        .option("kafka.linger.ms", settings["lingerMs"])
        .save()
    )
    return settings["rows"]  # the broker's own count is compared with this


# this process starts the JVM, which does the work
JVM = spark.sparkContext._gateway.proc.pid


def jvm_cpu_seconds():
    with open(f"/proc/{JVM}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def jvm_peak_rss_mb():
    with open(f"/proc/{JVM}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) // 1024


send(settings["warmupTopic"])
cpu, started = jvm_cpu_seconds(), time.monotonic()
rows = send(settings["topic"])
seconds = time.monotonic() - started
print(
    json.dumps(
        {"rows": rows, "seconds": seconds, "cpuSeconds": jvm_cpu_seconds() - cpu, "peakRssMb": jvm_peak_rss_mb()}
    )
)
spark.stop()
