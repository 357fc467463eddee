"""Packs in an S3-compatible store (AWS, MinIO, Ceph, Garage), through boto3. Imported only if configured.

A pack is the object PREFIX/<day>/<SHA-256>. It is durable once the store has answered; S3 guarantees to list
and return what it accepted. The SHA-256 of each body is signed with the request, and every store checks it.
The checksums of boto3 since 1.36 (CRC32 in a trailer, or in place of Content-MD5) are not used, since many
stores other than AWS refuse them. Credentials come the usual way (environment, ~/.aws, or the machine's
role), never from `department.toml`. In a bucket with versioning, a purge leaves old versions, which are noise
once their day's key is destroyed.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from storage.counts import counted
from sync.department.store.blobs import day_of
from sync.errors import InvalidInputError, StoreError

SCHEME = "s3"
CONNECT_S, READ_S, TRIES = 10, 60, 4
DELETE_AT_ONCE = 1000  # the maximum of one DeleteObjects
MOST_PAGES = 200_000  # of one listing, 1000 keys each: an endless one would block the purge forever
_CODE = re.compile(r"[A-Za-z0-9.]{1,64}")  # as S3 writes them; anything else from a store is not shown
_WRONG_KEYS = "correct the store's credentials (environment, ~/.aws or the machine's role), then start again"
_WRONG_PLACE = "set AWS_DEFAULT_REGION to the bucket's region, and blobs_endpoint to the store's address"
CURES = {
    "RequestTimeTooSkewed": "set this machine's clock: the store allows 15 minutes between the two",
    "SlowDown": "nothing, if it passes: units send again; else ask its office for the store's limits",
    **dict.fromkeys(
        ("AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "SignatureDoesNotMatch"), _WRONG_KEYS
    ),
    **dict.fromkeys(("AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect"), _WRONG_PLACE),
}
NOT_THERE = frozenset({"NoSuchKey", "NoSuchBucket", "404", "InvalidRange"})


class S3Packs:
    """See blobs.PackStore."""

    def __init__(self, client: Any, bucket: str, prefix: str) -> None:
        self._client, self._bucket = client, bucket
        self._prefix = f"{prefix}/" if prefix else ""

    def put(self, day: int, pieces: Sequence[bytes]) -> str:
        data = b"".join(pieces)
        name = hashlib.sha256(data).hexdigest()
        self._ask("put_object", Key=self._key(day, name), Body=data)
        return name

    def get(self, day: int, pack: str, offset: int, length: int) -> bytes:
        key = self._key(day, pack)
        if offset < 0 or length < 0:  # S3 gives such a range another meaning
            raise StoreError("a pack of images is cut short", where=self._where(key))
        answer = self._ask("get_object", Key=key, Range=f"bytes={offset}-{offset + length - 1}")
        with self._understood(key), answer["Body"] as body:
            data: bytes = body.read(length + 1)
        if len(data) != length:
            raise StoreError("a pack of images is cut short", where=self._where(key))
        return data

    def names(self, day: int) -> set[str]:
        prefix = self._key(day, "")
        return {key.removeprefix(prefix) for key in self._keys(prefix)}

    def days(self) -> set[int]:
        found = (key.removeprefix(self._prefix).partition("/") for key in self._keys(self._prefix))
        days = {day_of(name) for name, slash, _ in found if slash}
        return {day for day in days if day is not None}

    def remove(self, day: int, packs: set[str]) -> None:
        self._delete([self._key(day, name) for name in sorted(packs)])

    def drop(self, day: int) -> int:
        keys = list(self._keys(self._key(day, "")))
        self._delete(keys)
        return len(keys)

    def _key(self, day: int, name: str) -> str:
        return f"{self._prefix}{day}/{name}"

    def _where(self, key: str) -> str:
        return f"s3://{self._bucket}/{key}"

    def _keys(self, prefix: str) -> Iterator[str]:
        """Every key, in no particular order, since some stores keep none. Raises StoreError."""
        more, seen = dict[str, str](), set[tuple[str, str | None]]()
        for _ in range(MOST_PAGES):
            answer = self._ask("list_objects_v2", Prefix=prefix, **more)
            with self._understood(prefix):
                keys = [str(one["Key"]) for one in answer.get("Contents") or ()]
                token = str(answer["NextContinuationToken"]) if answer.get("IsTruncated") else None
            new = {("token", token), *(("first key", key) for key in keys[:1])}
            if seen & new:
                raise StoreError("the store's listing repeats itself", where=self._where(prefix))
            yield from keys
            if token is None:
                return
            seen |= new
            more = {"ContinuationToken": token}
        raise StoreError("the store's listing does not end", where=self._where(prefix))

    @contextmanager
    def _understood(self, key: str) -> Iterator[None]:
        """Turns missing parts of an answer, or a broken one, into StoreError."""
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415 - a driver imports late

        try:
            yield
        except (LookupError, TypeError, AttributeError, BotoCoreError) as error:
            what = f"the store's answer is incomplete: {type(error).__name__}"
            raise StoreError(what, where=self._where(key)) from None

    def _delete(self, keys: Sequence[str]) -> None:
        for at in range(0, len(keys), DELETE_AT_ONCE):
            wanted = [{"Key": key} for key in keys[at : at + DELETE_AT_ONCE]]
            answer = self._ask("delete_objects", Delete={"Objects": wanted, "Quiet": True})
            if failed := answer.get("Errors"):
                with self._understood(keys[at]):
                    code = _shown(failed[0].get("Code"))
                what = f"{counted(len(failed), 'pack')} could not be removed ({code})"
                raise StoreError(what, where=self._where(keys[at]), cure=CURES.get(code, ""))

    def _ask(self, call: str, **facts: Any) -> dict[str, Any]:
        """Make one call. Raises StoreError, without the answer's body."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - a driver imports late

        where = self._where(str(facts.get("Key", facts.get("Prefix", ""))))
        try:
            answer: dict[str, Any] = getattr(self._client, call)(Bucket=self._bucket, **facts)
        except ClientError as error:
            code = _shown(error.response.get("Error", {}).get("Code"))
            what = "a pack of images is missing" if code in NOT_THERE else f"the store refused {call}"
            raise StoreError(f"{what} ({code})", where=where, cure=CURES.get(code, "")) from None
        except (BotoCoreError, RecursionError) as error:  # endless redirects
            raise StoreError(f"the store does not answer: {type(error).__name__}", where=where) from None
        return answer


def open_s3(url: str, endpoint: str) -> S3Packs:
    """Open packs at s3://BUCKET/PREFIX; `endpoint` is empty for AWS. Raises InvalidInputError."""
    parts = urlsplit(url)
    if parts.scheme != SCHEME or not parts.netloc or parts.query or parts.username:
        raise InvalidInputError("must be s3://BUCKET or s3://BUCKET/PREFIX", where="blobs_folder")
    try:
        import boto3  # noqa: PLC0415 - a driver imports late
        from botocore.config import Config  # noqa: PLC0415
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415
    except ModuleNotFoundError:
        raise InvalidInputError(
            "boto3 is not installed", where="blobs_folder", cure="pip install 'alpr-reader[s3]'"
        ) from None
    terms = Config(
        connect_timeout=CONNECT_S,
        read_timeout=READ_S,
        retries={"mode": "standard", "total_max_attempts": TRIES},
        request_checksum_calculation="when_required",
        s3={"addressing_style": "path" if endpoint else "auto", "payload_signing_enabled": True},
    )
    try:
        client = boto3.session.Session().client("s3", endpoint_url=endpoint or None, config=terms)
    except (BotoCoreError, ValueError) as error:
        raise InvalidInputError(f"{type(error).__name__}: {error}", where="blobs_endpoint") from None
    client.meta.events.register("before-sign.s3.DeleteObjects", _add_md5)
    return S3Packs(client, parts.netloc, parts.path.strip("/"))


def _add_md5(request: Any, **_: Any) -> None:
    """Add the header that S3 requires for DeleteObjects and that boto3 no longer sends."""
    digest = hashlib.md5(request.body, usedforsecurity=False).digest()
    del request.headers["Content-MD5"]  # from the previous try; does nothing if there is none
    request.headers["Content-MD5"] = base64.b64encode(digest).decode()


def _shown(code: object) -> str:
    """A refusal's code, made safe to show, since the store chose it."""
    return str(code) if _CODE.fullmatch(str(code)) and code else "unknown"
