// The desk's one script. Every page works without it: it adds keys, the lock of an idle page, and carried cases.
"use strict";
(() => {
  const body = document.body, locksAfter = Number(body.dataset.locksAfterS || 0) * 1000;
  const all = (what, where = document) => [...where.querySelectorAll(what)];
  const first = (what, where = document) => where.querySelector(what);
  const made = (tag, facts) => Object.assign(document.createElement(tag), facts);
  const post = (path, fields) => fetch(path, { method: "POST", headers: { "content-type": "application/x-www-form-urlencoded" }, body: new URLSearchParams(fields) });
  const typing = (one) => one && (/^(INPUT|SELECT|TEXTAREA)$/.test(one.tagName) || one.isContentEditable);

  first("#refusal")?.focus(); // a refusal is read first

  // one form is sent once, and no file that no form takes: all that was typed beside it would be lost
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    all("button", form).forEach((one) => one.setAttribute("aria-busy", "true"));
    setTimeout(() => { delete form.dataset.sent; all("button", form).forEach((one) => one.removeAttribute("aria-busy")); }, 8000);
  });
  for (const one of all('input[type="file"]')) one.addEventListener("change", () => one.setCustomValidity([...one.files].some((each) => each.size > 11e6) ? "This file has over 11 MB. Choose a smaller one." : ""));

  // a known number brings its purpose, basis and reason back; Enter leads from the number to the plate
  const number = first("#number");
  if (number && first("#numbers")) {
    const fill = () => {
      const known = all("#numbers option").find((one) => one.value === number.value.trim());
      const ground = known ? JSON.parse(known.dataset.ground) : {};
      for (const name of ["number_kind", "purpose", "basis", "justification"]) {
        const field = document.getElementById(name);
        if (field && ground[name]) field.value = ground[name];
      }
    };
    number.addEventListener("change", fill);
    number.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      fill();
      const fields = ["number_kind", "purpose", "basis", "justification", "plate"].map((name) => document.getElementById(name));
      (fields.find((one) => one && !one.value) || fields[4]).focus();
    });
    if (location.hash === "#number") number.focus();
  }

  // keys, outside of fields
  if (body.dataset.keys === "on") {
    let after = "";
    const rows = () => all("[data-rows] > li, main tbody tr[id]");
    const move = (by) => {
      const list = rows();
      if (!list.length) return;
      const at = list.findIndex((one) => one.contains(document.activeElement));
      const next = list[Math.min(list.length - 1, Math.max(0, at < 0 ? (by > 0 ? 0 : list.length - 1) : at + by))];
      (first("a, button:enabled", next) || Object.assign(next, { tabIndex: -1 })).focus();
      next.scrollIntoView({ block: "nearest" });
    };
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (typing(event.target)) { if (event.key === "Escape") event.target.blur(); return; }
      if (after === "g") {
        const link = all("nav [data-go]").find((one) => one.dataset.go === event.key);
        after = "";
        if (link) { event.preventDefault(); link.click(); }
        return;
      }
      if (event.key === "g") { after = "g"; setTimeout(() => { after = ""; }, 1500); }
      else if (event.key === "j") move(1);
      else if (event.key === "k") move(-1);
      else if (event.key === "r" && first("#arrived:not([hidden])")) location.reload();
      else if (event.key === "o" && !first('main [data-key="o"]')) { const row = document.activeElement.closest("li, tr"); const one = row && first("a, button:enabled", row); if (one) one.click(); }
      else if (first(`main [data-key="${CSS.escape(event.key)}"]`)) first(`main [data-key="${CSS.escape(event.key)}"]`).click();
      else if (event.key === "L" && first("#lock")) first("#lock").requestSubmit();
      else if (event.key === "?") location.assign("/help");
      else if (event.key === "/") {
        const link = first('nav a[href="/search"]') || first('nav a[href="/ask"]');
        event.preventDefault();
        if (number) { number.focus(); number.select(); } else if (link) location.assign(`${link.pathname}#number`);
      }
    });
  }

  // a search that opens much: part after part, until it is done or cancelled
  const steps = first("#steps-go");
  if (steps) {
    let going = steps.hidden = true;
    first("#steps-stop").addEventListener("submit", () => { going = false; });
    const next = async () => {
      const answer = await post(steps.dataset.next, { mark: body.dataset.mark });
      if (!answer.ok) { steps.requestSubmit(); return; } // whose page says why, and asks no more
      const facts = await answer.json();
      first("#steps").value = facts.opened;
      first("#steps-said").textContent = `${facts.opened} of ${facts.of} opened, ${facts.found} found`;
      first("#steps-found").append(...facts.lines.map((text) => made("li", { textContent: text })));
      if (facts.done) location.assign(location.pathname.replace(/\/steps$/, ""));
      else if (going) next();
    };
    next().catch(() => { steps.hidden = false; });
  }

  // passkeys: the authenticator answers, the form carries its answer
  if (window.PublicKeyCredential?.parseRequestOptionsFromJSON) {
    const said = first("#passkey-said"), make = first("#new-passkey"), use = first("#passkey");
    const ask = async (path, fields) => {
      const answer = await post(path, fields);
      if (answer.ok) return answer.json(); else if (answer.status === 401 && make) location.assign("/proof?next=/account");
      throw new Error((/id="refusal"[^>]*>([^]*?)<\/div>/.exec(await answer.text()) || [])[1]?.replace(/<[^>]*>/g, " ").replace(/&#39;/g, "'").replace(/\s+/g, " ").trim() || "the desk refused");
    };
    const why = { NotAllowedError: "you canceled it, the time ran out, or this device has no passkey of yours for this desk: try again" + (make ? "" : ", or use password and code"), InvalidStateError: "this device or security key has a passkey of yours already", SecurityError: "a passkey works only at the desk's own address, by its name: open the desk there" }; // which one, no browser says
    const tried = (work) => work().catch((error) => { said.textContent = `No passkey: ${why[error.name] || error.message}.`; });
    if (use) {
      Object.assign(use, { hidden: false }).addEventListener("click", () => tried(async () => {
        const form = use.form, asked = await ask(use.dataset.ask || "/logon/passkey", { user: first("#user")?.value || "", proof: form.elements.proof?.value || "", mark: body.dataset.mark || "" });
        const made = await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(asked) });
        first('[name="passkey"]', form).value = JSON.stringify(made.toJSON());
        form.submit();
      }));
    }
    if (make) make.addEventListener("submit", (event) => {
      const response = first('[name="response"]', make);
      if (response.value) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      tried(async () => {
        const asked = await ask("/account/passkeys/options", { mark: body.dataset.mark, from: "/account", name: first("#name", make).value });
        const made = await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(asked) });
        response.value = JSON.stringify(made.toJSON());
        make.submit();
      });
    });
  }

  // alerts as they come: a line, a title, a sound; the list itself is asked for by a person. One page of a browser
  // follows and informs the others; the next page resumes where the last one ended: no alert falls between them.
  const live = first("#live");
  if (live) {
    const arrived = first("#arrived"), newest = first("#newest"), sound = first("#sound"), title = document.title.replace(/^\(\d+\) /, "");
    let audio = null, last = "", known = null, holds = false, until = 0;
    const beep = () => {
      const tone = audio?.createOscillator(), loud = audio?.createGain(), now = audio?.currentTime;
      if (!audio || now < until) return;
      until = now + 0.7;
      for (const [at, pitch] of [[0, 880], [0.22, 660], [0.44, 880]]) for (const [after, volume] of [[0, 0], [0.01, 0.25], [0.16, 0.25], [0.18, 0]]) {
        tone.frequency.setValueAtTime(pitch, now + at);
        loud.gain.linearRampToValueAtTime(volume, now + at + after);
      }
      tone.connect(loud).connect(audio.destination);
      tone.start();
      tone.stop(now + 0.64);
    };
    // on until it is switched off, on the next pages too; some browsers wait for a key or click
    const said = () => (!audio ? "Sound is off" : audio.state === "suspended" ? "Sound is on after a key or click" : "Sound is on");
    const say = () => { sound.setAttribute("aria-pressed", String(Boolean(audio))); sound.textContent = said(); };
    const switched = (on) => { audio?.close(); until = 0; audio = on ? new AudioContext() : null; audio?.addEventListener("statechange", say); sessionStorage.setItem("sound", on ? "on" : ""); say(); };
    for (const one of ["keydown", "pointerdown"]) document.addEventListener(one, () => { if (audio?.state === "suspended") audio.resume(); });
    Object.assign(sound, { hidden: false }).addEventListener("click", () => { switched(!audio); beep(); });
    if (sessionStorage.getItem("sound")) switched(true);
    const counts = (facts) => {
      known = facts;
      document.title = (facts.sounding ? `(${facts.sounding}) ` : "") + title;
      live.textContent = `Live: ${facts.open} open, ${facts.sounding} sounded, ${facts.overdue} overdue` + (facts.unopened ? `, ${facts.unopened} not opened yet` : "");
    };
    const clock = (at) => { try { return at.toLocaleTimeString("en-GB", { timeZone: body.dataset.zone.replace(/^UTC/, "") }); } catch { return at.toTimeString().slice(0, 8); } }; // the department's
    const report = (text, path) => {
      Object.assign(newest, { href: path, textContent: text, hidden: false });
      if (!arrived) return;
      const line = made("li", { className: "arrived" });
      line.append(made("span", { className: "age", textContent: clock(new Date()) }), made("a", { href: path, textContent: text }));
      Object.assign(arrived, { hidden: false }).prepend(line);
      while (arrived.children.length > 12) arrived.lastElementChild.remove();
    };
    const heard = {
      counts,
      alert: (facts) => {
        const number = Number(facts.alert);
        counts(facts);
        report(facts.state === "raised" ? `Alert ${number} was raised${facts.sounded ? "" : ", silent"}` : `Alert ${number}: ${facts.state === "listed" ? "its entry is on the list again" : facts.state}`, `/alerts/${number}`);
        if (facts.state === "raised" && facts.sounded) beep();
      },
      again: () => report("Much happened: list the alerts again", "/alerts"),
      end: (facts) => { live.textContent = `The live list has ended${facts ? `: ${facts.what}` : ""}. Load the page again.`; },
      cut: () => { live.textContent = "The line is cut: trying again."; },
      asked: () => { if (holds && known) lines.postMessage(["counts", known, last]); },
    };
    const lines = new BroadcastChannel(`alerts ${body.dataset.mark}`), [before, left] = (sessionStorage.getItem("alerts") || "").split(" ");
    const take = ([kind, facts, id]) => { last = id || last; heard[kind](facts); };
    lines.addEventListener("message", (event) => take(event.data));
    lines.postMessage(["asked"]);
    if (Date.now() - Number(left) < 600000) last = before;
    window.addEventListener("pagehide", () => sessionStorage.setItem("alerts", `${last} ${Date.now()}`));
    const hold = () => new Promise(() => {
      holds = true;
      const stream = new EventSource(live.dataset.events + (last ? `?after=${last}` : ""));
      const all = (...line) => { take(line); lines.postMessage(line); };
      for (const kind of ["counts", "alert", "again", "end"]) stream.addEventListener(kind, (event) => { if (kind === "end") stream.close(); all(kind, JSON.parse(event.data), event.lastEventId); });
      stream.addEventListener("error", () => all(stream.readyState === EventSource.CLOSED ? "end" : "cut"));
    });
    if (navigator.locks) navigator.locks.request(`alerts ${body.dataset.mark}`, hold); else hold();
  }

  // a lock keeps the half-filled form on the server, and clears the screen
  const lockForm = first("#lock");
  const carry = () => {
    const add = (name, value) => lockForm.append(made("input", { type: "hidden", name, value }));
    const changed = (one) => (one.tagName === "SELECT" ? one.selectedIndex !== Math.max(0, [...one.options].findLastIndex((each) => each.defaultSelected)) : one.type === "checkbox" ? one.checked !== one.defaultChecked : /^(INPUT|TEXTAREA)$/.test(one.tagName) && one.type !== "hidden" && one.value !== one.defaultValue);
    const forms = all("form[data-keep]"), open = forms.find((one) => [...one.elements].some(changed)) || first('form[data-keep="typed"]') || forms[0]; // a form that came back counts as typed
    if (!open) return;
    for (const [name, value] of new FormData(open)) if (typeof value === "string" && !["mark", "once", "from"].includes(name) && document.getElementsByName(name)[0]?.type !== "password") add(name, value); else if (value.name) add("chosen-file", value.name);
  };
  if (lockForm) lockForm.addEventListener("submit", carry, { once: true });
  if (locksAfter && lockForm) {
    let used = Date.now(), reported = Date.now();
    const busy = () => {
      used = Date.now();
      if (used - reported < Math.min(120000, locksAfter / 4)) return;
      reported = used;
      post("/awake", { mark: body.dataset.mark });
    };
    for (const one of ["keydown", "pointerdown"]) document.addEventListener(one, busy, { passive: true });
    const lock = () => { clearInterval(idle); first('[name="now"]', lockForm).remove(); carry(); lockForm.submit(); };
    const idle = setInterval(() => { if (Date.now() - Math.max(used, reported) > locksAfter + 2000) lock(); }, 1000);
  }
})();
