"""The unit's identity in a TPM 2.0, through tpm2-pytss: both keys are derived from the chip's owner seed.

A template always gives the same primary key, so nothing has to be kept in the chip's scarce memory or on the
card; clearing the TPM ends the unit's identity. The signing key and the storage key cannot leave the
chip (fixedTPM, fixedParent). TCG, TPM 2.0 Library, part 1, section 27 (seeds), part 3, section 24.1.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from hw.errors import ChipFailedError
from hw.tpm import DEFAULT_TCTI, Tpm
from hw.unit_chip import check_secret

LABEL = b"alpr-reader unit key"  # in the template, so that no other program derives this key by chance


class TpmChip:
    """See hw.unit_chip.UnitChip."""

    promise = "a TPM: the unit's key cannot be copied, and its sealed keys open in this chip alone"

    def __init__(self, tcti: str) -> None:
        self._tpm = Tpm(tcti)
        self._tss = self._tpm.tss

    def public_der(self) -> bytes:
        """See UnitChip.public_der."""
        with self._chip() as chip, self._primary(chip, self._signing()) as (_, public):
            return bytes(public.to_der())

    def sign(self, data: bytes) -> bytes:
        """See UnitChip.sign."""
        tss = self._tss
        scheme = tss.TPMT_SIG_SCHEME(scheme=tss.TPM2_ALG.ECDSA)
        scheme.details.ecdsa.hashAlg = tss.TPM2_ALG.SHA256
        digest = hashlib.sha256(data).digest()  # not a restricted key: it may sign any digest
        with self._chip() as chip, self._primary(chip, self._signing()) as (handle, _):
            made = chip.sign(handle, digest, scheme)  # kept: its parts are views into it
            r, s = (
                bytes(part) for part in (made.signature.ecdsa.signatureR, made.signature.ecdsa.signatureS)
            )
        return encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))

    def seal(self, secret: bytes) -> bytes:
        """See UnitChip.seal."""
        check_secret(secret)
        tss = self._tss
        rights = tss.TPMA_OBJECT.FIXEDTPM | tss.TPMA_OBJECT.FIXEDPARENT | tss.TPMA_OBJECT.USERWITHAUTH
        rights |= tss.TPMA_OBJECT.NODA
        public = tss.TPM2B_PUBLIC.parse("keyedhash", objectAttributes=rights)
        wanted = tss.TPM2B_SENSITIVE_CREATE(
            tss.TPMS_SENSITIVE_CREATE(data=tss.TPM2B_SENSITIVE_DATA(buffer=secret))
        )
        with self._chip() as chip, self._primary(chip, self._storage()) as (parent, _):
            private, made, *_ = chip.create(parent, wanted, public)
        return _framed(private.marshal()) + _framed(made.marshal())

    def unseal(self, sealed: bytes) -> bytes:
        """See UnitChip.unseal."""
        tss = self._tss
        first = int.from_bytes(sealed[:2], "big") + 2
        try:
            private, _ = tss.TPM2B_PRIVATE.unmarshal(sealed[2:first])
            public, _ = tss.TPM2B_PUBLIC.unmarshal(sealed[first + 2 :])
        except (tss.TSS2_Exception, ValueError):
            raise ChipFailedError("what was sealed is damaged") from None
        with self._chip() as chip, self._primary(chip, self._storage()) as (parent, _):
            handle = chip.load(parent, private, public)
            try:
                return bytes(chip.unseal(handle))
            finally:
                chip.flush_context(handle)

    def _signing(self) -> Any:
        tss = self._tss
        rights = tss.TPMA_OBJECT.FIXEDTPM | tss.TPMA_OBJECT.FIXEDPARENT | tss.TPMA_OBJECT.USERWITHAUTH
        rights |= tss.TPMA_OBJECT.SENSITIVEDATAORIGIN | tss.TPMA_OBJECT.SIGN_ENCRYPT | tss.TPMA_OBJECT.NODA
        template = tss.TPM2B_PUBLIC.parse("ecc256:ecdsa-sha256", objectAttributes=rights)
        template.publicArea.unique.ecc.x = LABEL
        return template

    def _storage(self) -> Any:
        tss = self._tss
        rights = tss.TPMA_OBJECT.FIXEDTPM | tss.TPMA_OBJECT.FIXEDPARENT | tss.TPMA_OBJECT.USERWITHAUTH
        rights |= tss.TPMA_OBJECT.SENSITIVEDATAORIGIN | tss.TPMA_OBJECT.NODA
        rights |= tss.TPMA_OBJECT.RESTRICTED | tss.TPMA_OBJECT.DECRYPT
        return tss.TPM2B_PUBLIC.parse("ecc256:null:aes128cfb", objectAttributes=rights)

    @contextmanager
    def _primary(self, chip: Any, template: Any) -> Iterator[tuple[Any, Any]]:
        handle, public, *_ = chip.create_primary(None, template, primary_handle=self._tss.ESYS_TR.OWNER)
        try:
            yield handle, public
        finally:
            chip.flush_context(handle)

    @contextmanager
    def _chip(self) -> Iterator[Any]:
        with self._tpm.opened() as chip:
            try:
                yield chip
            except self._tss.TSS2_Exception as error:
                raise ChipFailedError(f"TPM at {self._tpm.tcti}: {error}") from None


def _framed(part: bytes) -> bytes:
    return len(part).to_bytes(2, "big") + part


def open_tpm_chip(name: str) -> TpmChip:
    """The chip of a slot's URI: INDEX or INDEX@TCTI after `tpm:`. Raises MissingDriverError."""
    return TpmChip(name.partition("@")[2] or DEFAULT_TCTI)
