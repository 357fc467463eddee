"""The effaceable slot in a TPM 2.0: one NV index, overwritten in place, through tpm2-pytss.

`tpm:0x1500ab1` names the index; `tpm:0x1500ab1@TCTI` also names the chip (default: device:/dev/tpmrm0). The
index is owner- and auth-readable with an empty auth: the protection against a thief of the whole unit is the
locked boot, and against old copies of the card it is that the chip does not keep overwritten content.
TCG, TPM 2.0 Library, part 3, section 31 (NV).
"""

from __future__ import annotations

import re
from typing import Any

from hw.errors import SlotFailedError
from hw.tpm import DEFAULT_TCTI, Tpm

_NAME = re.compile(r"(0x0?1[0-9a-fA-F]{6})(?:@(.{1,200}))?")
_NV_INDEXES = range(0x01000000, 0x02000000)
SIZE = 128  # of the index: the length, the content, padding; one NV write, which is atomic
MOST = SIZE - 2
INDEXES_AT_ONCE = 64


def _uri(index: int, tcti: str) -> str:
    return f"tpm:0x{index:07x}" + ("" if tcti == DEFAULT_TCTI else f"@{tcti}")


def _rights(tss: Any) -> Any:
    return tss.TPMA_NV.AUTHREAD | tss.TPMA_NV.AUTHWRITE | tss.TPMA_NV.OWNERREAD | tss.TPMA_NV.NO_DA


class TpmSlot:
    """See hw.secure_slot.SecureSlot. Opens the chip for each call, so that other programs can use it too."""

    promise = "a TPM: an overwritten key is gone from the chip, and a copied or older card opens nothing"

    def __init__(self, index: int, tcti: str) -> None:
        self._tpm = Tpm(tcti)
        self._tss = self._tpm.tss
        self._index = index
        self.uri = _uri(index, tcti)
        with self._tpm.opened():  # a chip that does not answer fails now, not at the first purge
            pass

    def read(self) -> bytes | None:
        """See SecureSlot.read."""
        with self._tpm.opened() as chip:
            handle = self._handle(chip)
            if handle is None:
                return None
            try:
                held = bytes(chip.nv_read(handle, SIZE, auth_handle=handle))
            except self._tss.TSS2_Exception as error:
                if error.rc & 0xFFF == self._tss.TPM2_RC.NV_UNINITIALIZED:
                    return None  # defined just before a power cut, never written
                raise SlotFailedError(f"{self.uri}: cannot be read: {error}") from None
        length = int.from_bytes(held[:2], "big")
        if length > MOST:
            raise SlotFailedError(f"{self.uri}: contains data of another program")
        return held[2 : 2 + length] if length else None

    def write(self, content: bytes) -> None:
        """See SecureSlot.write. One NV write: after a power cut it is either done or not done."""
        if not 0 < len(content) <= MOST:
            raise SlotFailedError(f"{self.uri}: holds 1 to {MOST} bytes")
        whole = (len(content).to_bytes(2, "big") + content).ljust(SIZE, b"\0")
        with self._tpm.opened() as chip:
            try:
                handle = self._handle(chip) or self._define(chip)
                chip.nv_write(handle, whole, auth_handle=handle)
            except self._tss.TSS2_Exception as error:
                raise SlotFailedError(f"{self.uri}: cannot be written: {error}") from None

    def _handle(self, chip: Any) -> Any:
        """The index's handle; None if it was never defined."""
        try:
            return chip.tr_from_tpmpublic(self._index)
        except self._tss.TSS2_Exception as error:
            if error.rc & 0xFFF in {self._tss.TPM2_RC.HANDLE | 0x100, self._tss.TPM2_RC.HANDLE, 0x18B}:
                return None
            raise SlotFailedError(f"{self.uri}: cannot be found: {error}") from None

    def _define(self, chip: Any) -> Any:
        tss = self._tss
        public = tss.TPM2B_NV_PUBLIC(
            nvPublic=tss.TPMS_NV_PUBLIC(
                nvIndex=self._index, nameAlg=tss.TPM2_ALG.SHA256, attributes=_rights(tss), dataSize=SIZE
            )
        )
        return chip.nv_define_space(None, public)


def slots_in_chip(tcti: str = DEFAULT_TCTI) -> list[str]:
    """The URIs of the written indexes that are defined like a slot. Raises SlotFailedError,
    MissingDriverError.

    Reads only their public parts: a wrong password for another program's index would count against it.
    """
    tpm, found = Tpm(tcti), list[str]()
    tss = tpm.tss
    made = (SIZE, int(_rights(tss) | tss.TPMA_NV.WRITTEN))
    with tpm.opened() as chip:
        try:
            first, more = _NV_INDEXES.start, True
            while more:
                more, answer = chip.get_capability(tss.TPM2_CAP.HANDLES, first, INDEXES_AT_ONCE)
                indexes = [int(one) for one in answer.data.handles if int(one) in _NV_INDEXES]
                for index in indexes:
                    public = chip.nv_read_public(chip.tr_from_tpmpublic(index))[0].nvPublic
                    if (int(public.dataSize), int(public.attributes)) == made:
                        found.append(_uri(index, tcti))
                more = bool(more) and bool(indexes)
                first = indexes[-1] + 1 if indexes else first
        except tss.TSS2_Exception as error:
            raise SlotFailedError(f"the chip does not list its indexes: {error}") from None
    return found


def open_tpm_slot(name: str) -> TpmSlot:
    """The slot named by the part of a URI after `tpm:`. Raises SlotFailedError, MissingDriverError."""
    match = _NAME.fullmatch(name)
    if match is None or int(match[1], 16) not in _NV_INDEXES:
        raise SlotFailedError(f"slot tpm:{name}: expected tpm:INDEX with an index such as 0x1500ab1")
    return TpmSlot(int(match[1], 16), match[2] or DEFAULT_TCTI)
