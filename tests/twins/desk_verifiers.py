"""People at the desk who verify alerts through its calls; each answer is kept as the JSON of a client."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from desk_cars import Car
from desk_twins import Department

from storage.alert_life import Fit, Outcome
from sync.department.desk.alerts.calls import (
    AlertForm,
    AlertLine,
    AnswerForm,
    CletsForm,
    CloseForm,
    Compared,
    TranscribeForm,
)
from sync.department.desk.inquiry.forms import Images, NothingForm
from sync.department.desk.json_forms import to_json


@dataclass
class Verifier:
    """A person with a session. `answers`: (call, JSON) of each; `strokes`: keys besides typed texts."""

    department: Department
    token: str
    answers: list[tuple[str, Any]] = field(default_factory=list)
    strokes: int = 0

    def _call(self, name: str, form: object) -> Any:
        answer = self.department.call(name, self.token, form)
        self.answers.append((name, json.loads(json.dumps(to_json(answer)))))
        return answer

    def listed(self) -> list[AlertLine]:
        return list(self._call("alert/list", NothingForm()))

    def look(self, alert: str) -> Images:
        found = self._call("alert/show", AlertForm(alert=alert))
        assert isinstance(found, Images)
        return found

    def types(self, alert: str, plate: str, state: str) -> Compared:
        """Type the plate, Tab, the state, Enter."""
        self.strokes += 2
        found = self._call("alert/transcribe", TranscribeForm(alert=alert, plate=plate, state=state))
        assert isinstance(found, Compared)
        return found

    def answers_fit(self, alert: str, fit: Fit = Fit.YES) -> Compared:
        """Answer with one key whether the vehicle fits."""
        self.strokes += 1
        found = self._call("alert/answer", AnswerForm(alert=alert, fit=fit))
        assert isinstance(found, Compared)
        return found

    def verifies(self, alert: str, plate: str, state: str = "CA", fit: Fit = Fit.YES) -> Compared:
        """Look, type, answer."""
        self.look(alert)
        self.types(alert, plate, state)
        return self.answers_fit(alert, fit)

    def closes(self, alert: str, outcome: Outcome = Outcome.NO_STOP) -> None:
        self._call("alert/close", CloseForm(alert=alert, outcome=outcome, text=""))

    def enters_clets(self, alert: str) -> None:
        self._call("alert/clets", CletsForm(alert=alert, practicable=True, text="CLETS 4711"))


def confirmed_and_closed(person: Verifier, car: Car, plate: str, **facts: Any) -> Compared:
    """Raise a true alert, confirm and close it: a planted mismatch may show its picture later."""
    name = car.raises(plate, **facts)
    (line,) = [one for one in person.listed() if name_of(person.department, one.alert) == name]
    made = person.verifies(line.alert, plate)
    assert made.line.answer == "confirmed"
    person.closes(line.alert)
    return made


def name_of(department: Department, number: str) -> str:
    """The name in the log of the alert with this number."""
    row = department.desk.book.alerts.find(number)
    assert row is not None
    return row.known.alert


def planted_now(department: Department) -> list[str]:
    """The numbers of the open planted mismatches, which no verifier can ask for."""
    return [str(row.number) for row in department.desk.book.alerts.open() if row.planted]
