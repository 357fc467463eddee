"use strict";
// The unit's alert page: lists open alerts, walks one through look, transcription, comparison, answer, CLETS, outcome.
// Nothing is decided here; every step is a call that the unit checks and signs.
const $ = (id) => document.getElementById(id);
let current = null, audio = null, known = new Set(), first = true, missed = 0;

async function call(path, body) {
  const answer = await fetch(path, body === undefined ? {} : {
    method: "POST", body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", "X-Alert-Page": "1" },
  });
  const said = await answer.json();
  if (answer.status === 401) { $("logon").hidden = false; $("list").replaceChildren(); show(null); }
  if (!answer.ok) throw new Error([said.refused, said.cure].filter(Boolean).join(" - "));
  return said;
}

function text(tag, words, name) {
  const made = document.createElement(tag);
  made.textContent = words;
  if (name) made.className = name;
  return made;
}

function age(seconds) {
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

async function list() {
  const { alerts, more, unstored } = await call("/api/alerts");
  const rows = alerts.map((one) => {
    const button = text("button", `${one.says} - ${age(one.age_s)}${one.recalled ? " - withdrawn" : ""}`);
    button.append(document.createElement("br"), text("small", one.next));
    button.className = one.sounds ? "sounds" : "silent";
    button.type = "button";
    if (current === one.number) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => open(one.number));
    const row = document.createElement("li");
    row.append(button);
    return row;
  });
  if (more) rows.push(text("li", `${more} more are open: close some of these to see them. The desk has all.`));
  $("unstored").hidden = unstored === null;
  const said = unstored === null ? "" :
    `${unstored.count} of the vehicles seen since the start may be wanted, but the unit could not store them: there ` +
    "is no alert and no picture. Do not act on this alone. Have the unit looked at.";
  if ($("unstored-said").textContent !== said) $("unstored-said").textContent = said; // written again, it is read out again
  $("unstored-age").textContent = unstored === null ? "" : `The last one was ${age(unstored.age_s)} ago.`;
  $("list").replaceChildren(...rows);
  const fresh = alerts.filter((one) => one.sounds && !known.has(one.number));
  const more_missed = unstored !== null && unstored.count > missed;
  if ((fresh.length || more_missed) && !first) sound();
  missed = unstored === null ? 0 : unstored.count;
  known = new Set(alerts.map((one) => one.number));
  first = false;
  const waiting = alerts.filter((one) => one.sounds && one.answer === null).length;
  document.title = waiting ? `(${waiting}) Alerts` : "Alerts";
  if (current !== null && !known.has(current)) show(null);
}

function sound() {
  if (!audio) return;
  for (const at of [0, 0.25, 0.5]) {
    const tone = audio.createOscillator();
    tone.frequency.value = 880;
    tone.connect(audio.destination);
    tone.start(audio.currentTime + at);
    tone.stop(audio.currentTime + at + 0.15);
  }
}

async function open(number) {
  current = number;
  const said = await call(`/api/alerts/${number}/view`, {});
  const pictures = said.images.map((name) => {
    const image = document.createElement("img");
    image.src = `/api/alerts/${number}/${name}`;
    image.alt = name === "patch" ? "License plate" : "Vehicle";
    image.className = name;
    return image;
  });
  $("pictures").replaceChildren(...pictures);
  $("plate").value = $("state").value = $("reference").value = "";
  show(await call(`/api/alerts/${number}`));
  $("plate").focus();
}

function show(one) {
  $("work").hidden = one === null;
  if (one === null) { current = null; return; }
  $("says").textContent = one.says + (one.stale ? " (list is older than a day)" : "");
  const typed = one.slots !== undefined;
  $("type").hidden = typed || one.closed;
  $("comparison").hidden = !typed;
  if (typed) compare(one);
  $("fit").hidden = !typed || one.answered || one.closed;  // whatever another person answered before
  $("answer").textContent = one.answer === null ? "" : answers[one.answer];
  $("answer").className = one.answer === "confirmed" ? "confirmed" : "rejected";
  $("clets").hidden = one.answer !== "confirmed";
  $("clets-again").hidden = one.owes_clets || one.recalled;
  $("close").hidden = one.answer === null && !one.recalled;
  const acts = one.answer === "confirmed" && !one.owes_clets;
  for (const name of ["stop", "arrest", "released"]) $("outcome").querySelector(`[value=${name}]`).disabled = !acts;
}

const answers = {
  "confirmed": "Confirmed: plate, state and vehicle fit. Verify through CLETS before you act.",
  "wrong-character": "Not this plate: a character differs. Do not act on this alert.",
  "wrong-state": "Not this plate: another state. Do not act on this alert.",
  "not-this-vehicle": "Not this vehicle. Do not act on this alert.",
  "cannot-tell": "The picture does not show it. Do not act on this alert alone.",
};

function compare(one) {
  const table = document.createElement("table");
  for (const [title, at] of [["You typed", 0], ["The list", 1]]) {
    const row = document.createElement("tr");
    row.append(text("th", title));
    for (const slot of one.slots) row.append(text("td", slot[at] || "-", slot[2] ? "" : "differs"));
    table.append(row);
  }
  const facts = document.createElement("dl");
  for (const [name, value] of Object.entries(one.entry)) {
    if (value) facts.append(text("dt", name), text("dd", String(value)));
  }
  const notes = [`The reader was ${Math.round(one.score * 100)} % sure (threshold ${Math.round(one.threshold * 100)} %).`];
  if (one.twin) notes.push("O and 0, I and 1 count as one character here.");
  if (one.disagrees.length) notes.push(`The read disagrees with the list: ${one.disagrees.join(", ")}.`);
  if (one.slots.some((slot) => !slot[2])) {
    notes.push("If you mistyped, leave the alert open: a colleague looks, types and answers too, and that answer counts.");
  }
  $("comparison").replaceChildren(table, facts, text("p", notes.join(" ")));
}

function submits(id, make) {
  $(id).addEventListener("submit", async (event) => {
    event.preventDefault();
    try {
      const said = await call(`/api/alerts/${current}/${id === "type" ? "transcribe" : id === "fit" ? "answer" : id}`, make(event));
      show(said.closed ? null : said);
      await list();
    } catch (error) { $("answer").textContent = error.message; $("answer").className = "rejected"; }
  });
}

submits("type", () => ({ plate: $("plate").value, state: $("state").value }));
submits("fit", (event) => ({ fit: event.submitter.value }));
submits("clets", (event) => ({ practicable: event.submitter.value === "true", text: $("reference").value }));
submits("close", () => ({ outcome: $("outcome").value }));

document.addEventListener("keydown", (event) => {
  if (event.target.matches("input, select") || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === "o" && $("work").hidden) { $("list").querySelector("button")?.click(); event.preventDefault(); return; }
  if ($("fit").hidden) return;
  const at = { y: 0, n: 1, c: 2 }[event.key];
  if (at !== undefined) $("fit").querySelectorAll("button")[at].click();
});
$("sound").addEventListener("click", () => {
  audio = audio ? null : new AudioContext();
  $("sound").setAttribute("aria-pressed", String(audio !== null));
  $("sound").textContent = audio ? "Sound on" : "Sound off";
  sound();
});
$("logoff").addEventListener("click", async () => { await call("/logoff", {}); location.reload(); });

let listing = null, again = false;
function follow() { // of many changes at once: one look now, and one after it
  if (listing) { again = true; return; }
  listing = list().catch(() => {}).finally(() => { listing = null; if (again) { again = false; follow(); } });
}

function listen() {
  const events = new EventSource("/api/events");
  events.onopen = () => { $("link").textContent = "live"; follow(); };
  events.onerror = () => { $("link").textContent = "not connected: alerts may be late"; };
  events.onmessage = follow;
}
list().then(listen).catch((error) => { $("link").textContent = error.message; });
