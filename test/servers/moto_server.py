"""Moto's server, with one more page: what was published to a topic of SNS, as it came.

To subscribe a queue is the real way, but moto's queues go through all of their messages for each one: thousands take minutes.
Run as: python3 moto_server.py PACKAGES -H HOST -p PORT
"""
import json
import sys
from urllib.parse import parse_qs, urlparse

sys.path.insert(0, sys.argv.pop(1))

from moto.moto_api._internal.urls import url_paths  # noqa: E402
from moto.server import main  # noqa: E402
from moto.sns import sns_backends  # noqa: E402


def published(request, full_url, headers):
    arn = parse_qs(urlparse(full_url).query)["topic"][0]
    region, account = arn.split(":")[3:5]
    topic = sns_backends[account][region].topics[arn]
    return 200, {}, json.dumps([body for _, body, *_ in topic.sent_notifications])


url_paths["{0}/moto-api/sns/published"] = published
main()
