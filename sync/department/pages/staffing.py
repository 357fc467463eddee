"""People and training: the roster, expiry dates, classes with their three topics, accounts (463.3,
463.9)."""

from __future__ import annotations

from typing import Any

from storage.counts import counted
from sync.department.desk.people.sheets import read_people, read_sign_in
from sync.department.pages import offers
from sync.department.pages.fields import Field, Options
from sync.department.pages.sheets import Ask, Listing, Opening, PageLink, Sheet, pages_of
from sync.department.pages.values import local_input
from sync.department.pages.visit import Visit
from sync.department.policy.refusals import FormError
from sync.department.policy.roles import Role


def _roles(visit: Visit) -> Options:
    policy = visit.calling.front.desk.policy
    return [(role.value, policy.title(role)) for role in Role]


def _courses(visit: Visit) -> Options:
    return [(one, one) for one in visit.calling.front.desk.policy.training.courses]


def _topics(visit: Visit) -> Options:
    return [(one.id, f"{one.clause} {one.text}") for one in visit.calling.front.desk.policy.training.topics]


def _version(visit: Visit) -> str:
    return str(visit.calling.front.desk.policy.version)


def _me(visit: Visit) -> str:
    return visit.person.user


def _now(visit: Visit) -> str:
    return local_input(visit.now_us, visit.calling.front.desk.policy.zone)


def _people(visit: Visit) -> list[dict[str, Any]]:
    """The people of the uploaded list. Raises FormError."""
    if "people" not in visit.values.files:
        raise FormError("name the file with the list", code="people", clause="463.3")
    rows = read_people(visit.values.files["people"][1])
    return [{"user": user, "name": name, "roles": [str(one) for one in roles]} for user, name, roles in rows]


def _users(visit: Visit) -> list[str]:
    """The users on the uploaded sign-in sheet, if any, and those that were ticked. Raises FormError."""
    sheet = visit.values.files.get("sheet")
    named = "\n".join(visit.values.all_of("users"))
    typed = [one.strip() for one in named.replace(",", "\n").splitlines()]
    return [*(read_sign_in(sheet[1]) if sheet else ()), *(one for one in typed if one)]


def _is_other(row: Any, visit: Visit) -> bool:
    """Whether a row is another person's, since no one changes their own account."""
    return bool(row.user != visit.person.user)


def _is_active_other(row: Any, visit: Visit) -> bool:
    return bool(row.active) and _is_other(row, visit)


def _late(row: Any, now_us: int) -> bool:
    return bool(row.active and row.training != "none" and row.training_ends_us <= now_us)


BY_LIST = [one.value for one in Role if one not in {Role.ADMINISTRATOR, Role.DESIGNEE}]
SHEET_FIELD = Field(
    name="sheet",
    kind="file",
    label="Sign-in sheet",
    help="CSV with a column user and, optionally, an x in a column signed; or tick people below",
    required=False,
)
TRAINING = Sheet(
    path="/training",
    title="Training",
    duty="463.9: all sworn officers, dispatchers and CCAT personnel are trained annually by the "
    "CCAT supervisor:"
    " (a) equipment, (b) department policy, (c) privacy usage policy. Without it, no page with data opens.",
    links=(
        PageLink("/calendar?kind=training", "Calendar: whose training ends when"),
        PageLink("/training/sheet", "Sign-in sheet to print", "training/record-class"),
    ),
    listings=(
        Listing(
            operation="training/list",
            title="Training by expiry date, soonest first",
            columns=("user", "name", "roles", "training", "training_ends_us"),
            rows=lambda answer: sorted(
                (one for one in answer if one.active), key=lambda one: one.training_ends_us
            ),
            late=_late,
            late_word="expired",
        ),
    ),
    asks=(
        Ask(
            operation="training/record-class",
            title="Enter a class from its sign-in sheet",
            button="Enter the class",
            options={
                "course": _courses,
                "topics": _topics,
                "trainer": offers.trainers,
                "users": offers.trainees,
            },
            first={"trainer": _me, "policy_version": _version, "held_us": _now},
            read={"users": _users},
            extra=(SHEET_FIELD,),
            may_lack=frozenset({"users"}),
            said=lambda answer: f"{counted(len(answer.entries), 'person is', 'people are')} trained.",
        ),
        Ask(
            operation="training/record",
            title="Enter one person's training",
            button="Enter the training",
            lead="The administrator enters the CCAT supervisor's own.",
            options={
                "course": _courses,
                "topics": _topics,
                "user": offers.trainees,
                "trainer": offers.trainers,
            },
            first={"trainer": _me, "policy_version": _version, "held_us": _now},
            said=lambda answer: f"Entered, entry {answer.entry}.",
        ),
    ),
)
PEOPLE = Sheet(
    path="/people",
    title="People",
    duty="463.3: sworn officers, dispatchers and CCAT personnel, trained; vendors for "
    "maintenance and repair. An"
    " account that searches, approves or reviews takes two people.",
    links=(
        PageLink("/training", "Training", "training/list"),
        PageLink("/calendar", "Calendar: what ends when"),
    ),
    listings=(
        Listing(
            operation="training/list",
            title="The roster",
            columns=(
                *("user", "name", "organisation", "roles", "shift", "active", "training", "training_ends_us"),
                "designation_ends_us",
            ),
            opens=(
                Opening(operation="user/set", path="/people?user={}#user-set", text="Change", when=_is_other),
                Opening(
                    operation="user/credential",
                    path="/people?user={}#user-credential",
                    text="New password",
                    when=_is_active_other,
                ),
                Opening(
                    operation="user/lift-lockout",
                    path="/people?user={}#user-lift-lockout",
                    text="Lift lockout",
                    when=_is_other,
                ),
            ),
        ),
    ),
    asks=(
        Ask(
            operation="user/set",
            title="Add or change a person",
            button="Enter the account",
            options={"roles": _roles},
            lead="To change a person, follow Change in the roster: the form shows what is entered.",
            first={
                "user": offers.named,
                "name": offers.name,
                "organisation": offers.organisation,
                "roles": offers.roles,
                "shift": offers.shift,
                "ssh_keys": offers.ssh_keys,
                "ends_us": offers.designation_end,
            },
            said=lambda answer: (
                f"Entered, entry {answer.entry}. A person who is new, or back, needs a first password, below."
                f"{' ' if answer.warning else ''}{answer.warning}"
            ),
        ),
        Ask(
            operation="user/credential",
            title="First password, or a new one for a person who lost theirs",
            button="Make it",
            options={"user": offers.others},
            first={"user": offers.named},
            template="secrets.html",
        ),
        Ask(
            operation="user/import",
            title="Add people from a list",
            button="Add them",
            lead=f"Roles in the file: {', '.join(BY_LIST)}.",
            read={"people": _people},
            template="secrets.html",
        ),
        Ask(
            operation="user/hand-over",
            title="Hand over the administrator's office",
            button="Hand over",
            options={"keep_roles": _roles, "user": offers.others},
            said=lambda _answer: "The office is handed over.",
        ),
        Ask(
            operation="user/lift-lockout",
            title="Lift a lockout",
            button="Lift",
            options={"user": offers.others},
            first={"user": offers.named},
            said=lambda _answer: "Lifted.",
        ),
    ),
)
PAGES = (*pages_of(PEOPLE), *pages_of(TRAINING))
