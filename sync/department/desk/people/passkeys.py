"""Passkeys at the desk (FIDO2): register one, remove one, log in with one, from a page or any other client.

    begin_passkey(desk, user) -> options   the options of navigator.credentials.get(), as JSON
    desk.logons.logon_passkey(answer) -> token    the authenticator's answer, as JSON; no password, no code

The challenge of a login is the digest of a fresh session key's certificate. So the authenticator itself makes
that key its person's, and root at the server has nothing that could sign for another key. A passkey must
verify its user (by PIN or finger), so no code is needed besides it.
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from storage.codec import to_bytes
from sync.department.desk.context import DeskContext
from sync.department.desk.desk import Caller, Desk, Plan
from sync.department.desk.inquiry.forms import Entered, NothingForm, first_entered
from sync.department.desk.people.challenges import WaitingLogon
from sync.department.desk.people.keys import like
from sync.department.desk.words import demand_words
from sync.department.journal.passkeys import MAX_KEYS, UNLOCK, PasskeySet, ProvenUse, passkey_owner
from sync.department.journal.statements import LONGEST_US, SESSION, Certificate
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Call
from sync.networks import network_of

MAX_ANSWER = 16 * 1024

MOST_EXCLUDED = 256  # the most passkeys of others that a registration names


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What a browser gives to navigator.credentials, as JSON."""

    options: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyForm:
    """A new passkey: its owner's name for it, and the authenticator's answer as JSON."""

    name: str
    response: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyIdForm:
    """A passkey by its id."""

    credential_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PasskeyRow:
    """One of your passkeys."""

    name: str
    credential_id: bytes
    origin: str


def begin_passkey(desk: Desk, user: str, address: str = "") -> str:
    """The options of a login with a passkey, as JSON. An unknown name gets options too. Raises
    TooManyError."""
    now_us, site = desk.now_us(), desk.logons.site
    desk.throttle.demand_pace(address, now_us, begins=True)
    key = Ed25519PrivateKey.generate()
    certificate = Certificate(
        department=desk.log.log_id,
        user=user,
        use=SESSION,
        public_key=key.public_key().public_bytes_raw(),
        at_us=now_us,
        ends_us=now_us + LONGEST_US,
    )
    waiting = WaitingLogon(
        user=user, key=key, certificate=to_bytes(certificate), at_us=now_us, address=network_of(address)
    )
    ids = _ids(desk, user)
    return _authentication(site.rp_id, desk.logons.challenges.add(waiting), ids)


def _authentication(rp_id: str, challenge: bytes, ids: list[bytes]) -> str:
    """The options, as JSON, for an answer by one of these passkeys."""
    import webauthn  # noqa: PLC0415 - a large library, needed where a passkey is used
    from webauthn.helpers import structs  # noqa: PLC0415

    options = webauthn.generate_authentication_options(
        rp_id=rp_id,
        challenge=challenge,
        allow_credentials=[structs.PublicKeyCredentialDescriptor(id=one) for one in ids],
        user_verification=structs.UserVerificationRequirement.REQUIRED,
    )
    return webauthn.options_to_json(options)


def _ids(desk: Desk, user: str) -> list[bytes]:
    """The ids of a person's passkeys.

    An unknown name gets as many, of the same lengths, as the account that it imitates.
    """
    secret = desk.secret_of(b"passkey", user)
    with desk.looking() as book:
        known, other = book.signers.passkeys, like(user, secret, book.roster.accounts)
    invented = [
        hashlib.shake_256(secret + one.credential_id).digest(len(one.credential_id))
        for one in known.get(other or "", ())
    ]
    return [one.credential_id for one in known.get(user, ())] or invented or [secret]


def begin_proof(desk: Desk, token: str, proof: str = "") -> str:
    """The options, as JSON, of a fresh proof by passkey for a call that this open session was refused.

    `proof`: as named in the refusal; by default that of the last refused call. The authenticator signs what
    the proof is for. Raises DeskRefusal.
    """
    caller = desk.still(token, Call.POLICY_READ)
    use = desk.logons.challenges.asked(caller.session, proof)
    challenge = desk.logons.challenges.add_proof(desk.log.log_id, caller.session, use, caller.at_us)
    return _asked_of(desk, caller.user, challenge)


def begin_unlock(desk: Desk, token: str) -> str:
    """The options of an unlock with a passkey, as JSON, for one locked session. Raises DeskRefusal."""
    session = desk.logons.session_of(token)
    use = ProvenUse(use=UNLOCK, form=b"")
    challenge = desk.logons.challenges.add_proof(desk.log.log_id, session.digest, use, desk.now_us())
    return _asked_of(desk, session.user, challenge)


def _asked_of(desk: Desk, user: str, challenge: bytes) -> str:
    """The options for the authenticators of this person. Raises FormError if they have no passkey."""
    known = desk.book.signers.passkeys.get(user, ())
    if not known:
        raise FormError(
            "you have no passkey here",
            code="passkey",
            clause="CJIS IA-11",
            cure="prove it with password and code",
        )
    return _authentication(desk.logons.site.rp_id, challenge, [one.credential_id for one in known])


def _registration_challenge(desk: Desk, session: bytes) -> bytes:
    """The challenge of a registration in one session. Its answer is entered once, so it need not be
    remembered."""
    return desk.secret_of(b"registration", session.hex())


def registration(front: DeskContext, token: str, form: NothingForm) -> Options:  # noqa: ARG001
    """Make the options of navigator.credentials.create() for a passkey of your own.

    An authenticator that holds any account's passkey makes no second one, so that one person cannot be two.
    """
    import webauthn  # noqa: PLC0415 - a large library, needed where a passkey is used
    from webauthn.helpers import structs  # noqa: PLC0415

    desk = front.desk

    def plan(caller: Caller) -> Plan[Options]:
        passkeys = desk.book.signers.passkeys
        own = passkeys.get(caller.user, ())
        others = (key for user, keys in passkeys.items() if user != caller.user for key in keys)
        taken = (*own, *itertools.islice(others, MOST_EXCLUDED))
        made = webauthn.generate_registration_options(
            rp_id=desk.logons.site.rp_id,
            rp_name=f"{desk.policy.department} ALPR",
            user_name=caller.user,
            user_id=desk.secret_of(b"user", caller.user)[:16],
            challenge=_registration_challenge(desk, caller.session),
            exclude_credentials=[
                structs.PublicKeyCredentialDescriptor(id=one.credential_id) for one in taken
            ],
            authenticator_selection=structs.AuthenticatorSelectionCriteria(
                resident_key=structs.ResidentKeyRequirement.PREFERRED,
                user_verification=structs.UserVerificationRequirement.REQUIRED,
            ),
        )
        options = Options(options=webauthn.options_to_json(made))
        return [], lambda _entries: options

    return desk.act(token, Call.TRAINING_READ, plan)


def register(front: DeskContext, token: str, form: PasskeyForm) -> Entered:
    """Register a passkey of your own. The session's key signs it."""
    import webauthn  # noqa: PLC0415 - a large library, needed where a passkey is used
    from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415

    desk = front.desk

    def plan(caller: Caller) -> Plan[Entered]:
        demand_words(form.name, "name the passkey", code="passkey", clause="CJIS IA-2", least=1)
        if len(desk.book.signers.passkeys.get(caller.user, ())) >= MAX_KEYS:
            raise FormError(
                f"a person has at most {MAX_KEYS} passkeys",
                code="passkey",
                clause="CJIS IA-2",
                cure="remove one that you no longer use, under My account",
            )
        if len(form.response) > MAX_ANSWER:
            raise FormError("the authenticator's answer is too long", code="passkey", clause="CJIS IA-2")
        try:
            verified = webauthn.verify_registration_response(
                credential=form.response,
                expected_challenge=_registration_challenge(desk, caller.session),
                expected_rp_id=desk.logons.site.rp_id,
                expected_origin=desk.logons.site.origin,
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, TypeError, KeyError) as error:
            raise FormError(
                f"the authenticator's answer is not valid: {type(error).__name__}",
                code="passkey",
                clause="CJIS IA-2",
                cure="register it again, on this department's own page",
            ) from None
        note = PasskeySet(
            user=caller.user,
            name=form.name,
            credential_id=verified.credential_id,
            public_key=verified.credential_public_key,
            rp_id=desk.logons.site.rp_id,
            origin=desk.logons.site.origin,
            active=True,
        )
        if passkey_owner(note, desk.book.signers.passkeys):
            raise FormError("that passkey is another person's", code="passkey", clause="CJIS IA-2")
        return [note], first_entered

    return desk.act(token, Call.TRAINING_READ, plan)


def remove(front: DeskContext, token: str, form: PasskeyIdForm) -> Entered:
    """Remove a passkey of your own."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[Entered]:
        known = desk.book.signers.passkeys.get(caller.user, ())
        found = next((one for one in known if one.credential_id == form.credential_id), None)
        if found is None:
            raise FormError("you have no such passkey", code="passkey", clause="CJIS IA-2")
        return [replace(found, active=False)], first_entered

    return desk.act(token, Call.TRAINING_READ, plan)


def listed(front: DeskContext, token: str, form: NothingForm) -> tuple[PasskeyRow, ...]:  # noqa: ARG001
    """List your own passkeys."""
    desk = front.desk

    def plan(caller: Caller) -> Plan[tuple[PasskeyRow, ...]]:
        rows = tuple(
            PasskeyRow(name=one.name, credential_id=one.credential_id, origin=one.origin)
            for one in desk.book.signers.passkeys.get(caller.user, ())
        )
        return [], lambda _entries: rows

    return desk.act(token, Call.TRAINING_READ, plan)
