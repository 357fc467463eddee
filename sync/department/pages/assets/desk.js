// The desk's one script. Every page works without it: it adds keys, the lock of an idle page, and carried cases.
"use strict";
(() => {
  const body = document.body, locksAfter = Number(body.dataset.locksAfterS || 0) * 1000;
  const all = (what, where = document) => [...where.querySelectorAll(what)];
  const first = (what, where = document) => where.querySelector(what);
  const typing = (one) => one && (/^(INPUT|SELECT|TEXTAREA)$/.test(one.tagName) || one.isContentEditable);

  // a refusal is read first
  const refusal = first("#refusal");
  if (refusal) refusal.focus();

  // one form is sent once
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "yes";
    all("button", form).forEach((one) => one.setAttribute("aria-busy", "true"));
    setTimeout(() => { delete form.dataset.sent; all("button", form).forEach((one) => one.removeAttribute("aria-busy")); }, 8000);
  });

  // a known number brings its purpose, basis and reason back; Enter leads from the number to the plate
  const number = first("#number");
  if (number && first("#numbers")) {
    const fill = () => {
      const known = all("#numbers option").find((one) => one.value === number.value.trim());
      if (!known) return;
      const ground = JSON.parse(known.dataset.ground);
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
      const empty = ["number_kind", "purpose", "basis", "justification", "plate"].map((name) => document.getElementById(name)).find((one) => one && !one.value);
      (empty || document.getElementById("plate")).focus();
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
      const target = first("a, button", next) || next;
      if (target === next) next.tabIndex = -1;
      target.focus();
      next.scrollIntoView({ block: "nearest" });
    };
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (typing(event.target)) { if (event.key === "Escape") event.target.blur(); return; }
      if (after === "g") {
        after = "";
        const link = all("nav [data-go]").find((one) => one.dataset.go === event.key);
        if (link) { event.preventDefault(); link.click(); }
        return;
      }
      if (event.key === "g") { after = "g"; setTimeout(() => { after = ""; }, 1500); }
      else if (event.key === "j") move(1);
      else if (event.key === "k") move(-1);
      else if (event.key === "o") { const row = document.activeElement.closest("li, tr"); const one = row && first("a, button", row); if (one) one.click(); }
      else if (event.key === "?") location.assign("/help");
      else if (event.key === "/") {
        event.preventDefault();
        if (number) { number.focus(); number.select(); }
        else if (first('nav a[href="/search"]')) location.assign("/search#number");
        else if (first('nav a[href="/ask"]')) location.assign("/ask#number");
      }
    });
  }

  // an idle page locks itself: its half-filled form is kept on the server, the screen is cleared
  if (locksAfter) {
    let used = Date.now(), told = Date.now();
    const busy = () => {
      used = Date.now();
      if (used - told < Math.min(120000, locksAfter / 4)) return;
      told = used;
      fetch("/awake", { method: "POST", headers: { "content-type": "application/x-www-form-urlencoded" }, body: new URLSearchParams({ mark: body.dataset.mark }) });
    };
    for (const one of ["keydown", "pointerdown"]) document.addEventListener(one, busy, { passive: true });
    const lock = () => {
      const form = document.createElement("form");
      form.method = "post";
      form.action = "/lock";
      const add = (name, value) => { const one = document.createElement("input"); one.type = "hidden"; one.name = name; one.value = value; form.append(one); };
      add("mark", body.dataset.mark);
      add("from", location.pathname);
      const open = first("form[data-keep]");
      if (open) for (const [name, value] of new FormData(open)) if (typeof value === "string" && !["mark", "once", "from"].includes(name) && !/password/.test(document.getElementsByName(name)[0]?.type)) add(name, value);
      document.body.append(form);
      form.submit();
    };
    setInterval(() => { if (Date.now() - Math.max(used, told) > locksAfter + 2000) lock(); }, 1000);
  }
})();
