"""Policy, compliance, witness and keys, and the set-up of a department step by step (463.1, 463.4)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.responses import Response

from sync.department.pages.sheets import File, Listing, PageLink, Sheet, download, pages_of
from sync.department.pages.visit import Page, Visit
from sync.department.pages.zones import plot_of_zones, rows_of
from sync.department.policy.roles import MANAGES_USERS, Call, Role


async def _policy_text(visit: Visit) -> dict[str, Any]:
    desk = visit.calling.front.desk
    zones = desk.policy.unit.no_read_zones
    return {
        "document": desk.policy_document.decode(),
        "zone_rows": rows_of(zones),
        "zone_plot": plot_of_zones(zones),
    }


COMPLIANCE = Sheet(
    path="/compliance",
    title="Compliance",
    duty="463.4: the administrator ensures that the system is operated in conformity with the policy.",
    links=(PageLink("/calendar", "Calendar: everything that ends"),),
    listings=(
        Listing(
            operation="compliance/overdue",
            title="Overdue",
            columns=("kind", "clause", "what"),
            empty="Nothing is overdue.",
        ),
        Listing(
            operation="compliance/endings",
            title="Expires soon",
            columns=("kind", "about", "ends_us", "cure", "clause"),
            empty="Nothing expires soon.",
        ),
    ),
)
POLICY = Sheet(
    path="/policy",
    title="Current policy",
    duty="463.1: each sentence of the policy that obliges, permits or forbids, how this system keeps it, and "
    "the test that fails if it does not. The signed file is below.",
    links=(
        PageLink("#zones", "No-read zones"),
        PageLink("/policy.toml", "Download the signed file"),
        PageLink("/transparency", "What the public sees"),
    ),
    listings=(
        Listing(
            operation="policy/read",
            title="Sentences",
            lead="The same table, with the name of each test: department clauses.",
            columns=("clause", "duty", "sentence", "how", "state", "test"),
            rows=lambda answer: answer.clauses,
            facts=lambda answer: [("Version", answer.version)],
        ),
    ),
    more=_policy_text,
    template="policy.html",
)


async def policy_file(visit: Visit) -> Response:
    """Answer with the signed policy file, unchanged."""
    found = await visit.call("policy/read")
    return download(File(name="policy.toml", kind="text/plain", data=found.document), visit)


async def trust(visit: Visit) -> Response:
    """Answer with witnesses, keys and root file, with which anyone can check this department."""
    await visit.demand("policy/read")
    desk = visit.calling.front.desk
    size, checkpoint = desk.log.cosigned()
    return visit.page(
        "trust.html",
        root=desk.root,
        log_key=desk.log.note_key.text(),
        size=desk.log.size(),
        signed=size,
        checkpoint=checkpoint,
        away=desk.book.away,
        problem=desk.witness_problem(),
        keys_elsewhere=visit.calling.front.keys_elsewhere,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUpStep:
    """One step of the set-up.

    `commands`: how to do it without this page, in order; `path`: where to do or see (`link`) it here.
    """

    title: str
    why: str
    commands: tuple[str, ...] = ()
    done: bool
    path: str = ""
    link: str = "Do it here"


def _witness_commands(log_key: str) -> tuple[str, ...]:
    """The commands that create a witness at its office and name it here."""
    at_office = "--folder /srv/witness"
    return (
        f"department witness init --name attorney.example.gov/w1 {at_office}",
        f"department witness add-log {log_key} {at_office}",
        f"department witness serve {at_office} --certificate chain.pem --key key.pem --host 0.0.0.0",
        "department keys draft --out next.root --witness KEYS --witness-url https://attorney.example.gov:8465",
        "department keys sign next.root --key OFFICE.key --digest SHA256",
        "department keys adopt next.root",
    )


def keys_left(home: Path) -> list[str]:
    """The root keys that are still in a home, or the folder itself if this process may not read it."""
    folder = home / "root-keys"
    try:
        return sorted(one.name for one in folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError:
        return [folder.name]


def steps(visit: Visit) -> list[SetUpStep]:
    """The steps, each with whether it is done."""
    desk, front = visit.calling.front.desk, visit.calling.front
    with desk.looking() as book:
        accounts = [one for one in book.roster.accounts.values() if one.active]
        trained = set(book.trainings.newest)
    held = {role for one in accounts for role in one.roles}
    wanted = {Role.CCAT_SUPERVISOR, Role.REVIEWER}
    left = keys_left(desk.log.folder.parent)
    if desk.root.witnessing() is not None and not desk.log.cosigned()[0]:
        desk.try_cover(desk.log.size() - 1)  # a first signature, or why there is none
    problem = desk.witness_problem()
    offices = [one.user for one in accounts if not MANAGES_USERS.isdisjoint(one.roles)]
    passwords = desk.book.roster.credentials
    own = all(user in passwords and not passwords[user].first for user in offices)
    return [
        SetUpStep(
            title="Set your own password and authenticator",
            why="CJIS IA-5: the first password was made by another person or the server. Only what you alone "
            "know signs in your name; until it is set, nothing else opens. Under My account you can add a "
            "passkey.",
            commands=("department user password",),
            done=own,
            path="/account/password",
        ),
        SetUpStep(
            title="Move the root keys to their offices",
            why="Two of three offices change policy, witness and keys. The keys are in HOME/root-keys until "
            "you copy each to a medium of its office and delete it here."
            + (f" Still here: {', '.join(left)}." if left else ""),
            done=not left,
        ),
        SetUpStep(
            title="Name a witness outside the department",
            why="Until one co-signs the log, no answer leaves. The first three commands are for the office "
            "that runs the witness, the others for here; each of two offices signs with its root key."
            + (f" Now: {problem}." if desk.root.witnessing() is not None and problem else ""),
            commands=_witness_commands(desk.log.note_key.text()),
            done=not problem,
            path="/trust",
            link="See witness and keys",
        ),
        SetUpStep(
            title="Enter the people",
            why="463.3: a CCAT supervisor and a reviewer at least. The first administrator acts "
            "alone only until"
            " another person could approve.",
            commands=("department user import people.csv --why 'first roster'",),
            done=wanted <= held,
            path="/people",
        ),
        SetUpStep(
            title="Enter their training",
            why="463.9: without it no page with data opens. You enter the supervisor's own, with another "
            "person as the trainer; the supervisor enters everyone else's.",
            commands=("department training record PERSON --trainer TRAINER --course COURSE",),
            done=bool(trained)
            and all(one.user in trained for one in accounts if Role.CCAT_SUPERVISOR in one.roles),
            path="/training",
        ),
        SetUpStep(
            title="Enroll the first unit",
            why="A one-time code enrolls a unit; from then on the unit sends its reads.",
            commands=("department enroll --name 'Car 1' --user chief",),
            done=bool(front.state.units(visit.now_us)),
            path="/units",
        ),
        SetUpStep(
            title="Send the first hot list",
            why="463.7: a list is the source of alerts; two people send it, units match it themselves.",
            commands=(
                "department hotlist push FILE --id doj --layout LAYOUT --issuer DOJ --source SVS --why first "
                "--propose",
            ),
            done=bool(front.lists_out()),
            path="/hotlists",
        ),
    ]


async def setup(visit: Visit) -> Response:
    """Show the set-up to the administrator, even before the first password is replaced."""
    first = bool(visit.person.must_change) and visit.may(Call.USER_MANAGE)
    await visit.demand("policy/read" if first else "user/set")
    return visit.page("setup.html", steps=await visit.calling.in_thread(lambda: steps(visit)))


PAGES = (
    *pages_of(COMPLIANCE),
    *pages_of(POLICY),
    Page(path="/policy.toml", show=policy_file),
    Page(path="/trust", show=trust),
    Page(path="/setup", show=setup),
)
