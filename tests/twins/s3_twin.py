"""An S3 server in its own process (moto); skips if moto or boto3 is not installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from waiting import accepts, until

from tests.tools.ports import free_port

BUCKET = "alpr"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


@contextmanager
def s3_server() -> Iterator[str]:
    """The endpoint of a fresh store with one bucket; its credentials are in the environment meanwhile."""
    cure = "pip install 'moto[s3]' flask flask-cors"
    needed = (("boto3", "pip install 'alpr-reader[s3]'"), ("moto", cure), ("flask_cors", cure))
    for module, cure in needed:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed: {cure}")
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    before = {name: os.environ.get(name) for name in CREDENTIALS}
    os.environ.update(CREDENTIALS)
    try:
        until(lambda: process.poll() is not None or accepts(port))
        assert process.poll() is None, "moto's server ended at once"
        endpoint = f"http://127.0.0.1:{port}"
        import boto3

        boto3.session.Session().client("s3", endpoint_url=endpoint).create_bucket(Bucket=BUCKET)
        yield endpoint
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        process.terminate()
        process.wait(timeout=300)
