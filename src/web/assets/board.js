// Keeps the board as it is now: takes the sections that the server sends, counts the time by itself, and says so when it
// hears nothing any more. Without it the page is whole, and stays as it was made.
"use strict";
(function () {
  const body = document.body;
  const path = body.dataset.live;
  if (!path || !window.EventSource) return;

  const SILENT_MS = 15000;
  const SPOKEN_EVERY_MS = 20000;
  const LIVE = "· updates by itself";
  const byId = (id) => document.getElementById(id);
  const stale = byId("stale");
  const liveness = byId("liveness");
  let ahead = Date.parse(body.dataset.now) - Date.now();
  let heard = performance.now();
  let spokenAt = -SPOKEN_EVERY_MS;
  let spokenKey = null;
  let toSpeak = null;

  const now = () => Date.now() + ahead;

  // As the server says a span: the two largest units that say something.
  function span(secs) {
    const parts = [[Math.floor(secs / 86400), "d"], [Math.floor(secs / 3600) % 24, "h"],
      [Math.floor(secs / 60) % 60, "m"], [secs % 60, "s"]];
    let first = parts.findIndex((part) => part[0] > 0);
    if (first < 0) first = 3;
    const next = parts[first + 1];
    const more = next && next[0] > 0 ? " " + next[0] + next[1] : "";
    return parts[first][0] + parts[first][1] + more;
  }

  function said(kind, at) {
    const passed = Math.floor((now() - at) / 1000);
    const due = Math.floor((at - now()) / 1000);
    switch (kind) {
      case "ago": return span(Math.max(passed, 0)) + " ago";
      case "for": return span(Math.max(passed, 0));
      case "in": return span(Math.max(due, 0));
      case "overdue": return due < 0 ? span(-due) + " overdue" : "overdue";
      case "unverified": return due < 0 ? span(-due) + " overdue, unverified" : "overdue";
      case "due": return due < 0 ? "passed " + span(-due) + " ago, being checked" : "due in " + span(due);
      default: return null;
    }
  }

  function tell(root) {
    for (const time of root.querySelectorAll("time[data-say]")) {
      const words = said(time.dataset.say, Date.parse(time.dateTime));
      if (words !== null && time.textContent !== words) time.textContent = words;
    }
  }

  // What has the focus keeps it, though it was made anew.
  function focused(section) {
    const active = document.activeElement;
    if (!active || !section.contains(active)) return null;
    const href = active.getAttribute("href");
    return href;
  }

  function replace(part) {
    const section = byId(part.id);
    if (!section) return;
    const keep = focused(section);
    const made = document.createElement("template");
    made.innerHTML = part.html;
    tell(made.content);
    section.replaceChildren(made.content);
    if (keep) {
      const links = Array.from(section.querySelectorAll("a"));
      const again = links.find((link) => link.getAttribute("href") === keep) || links[0];
      if (again) again.focus({ preventScroll: true });
    }
  }

  function speak() {
    if (toSpeak === null || performance.now() - spokenAt < SPOKEN_EVERY_MS) return;
    spokenAt = performance.now();
    byId("spoken").textContent = toSpeak;
    toSpeak = null;
  }

  function head(tick) {
    ahead = Date.parse(tick.now) - Date.now();
    const title = tick.headline + " · tocsin";
    if (document.title !== title) document.title = title;
    const headline = byId("headline");
    if (headline.textContent !== tick.headline) headline.textContent = tick.headline;
    byId("top").className = tick.level;
    const icon = document.querySelector("link[rel=icon]");
    if (icon.getAttribute("href") !== tick.icon) icon.setAttribute("href", tick.icon);
    // Only what somebody must hear is spoken: minor safety, and whether it can be seen.
    const key = tick.p0_overdue + " " + tick.unseen;
    if (spokenKey !== null && key !== spokenKey) toSpeak = tick.headline;
    spokenKey = key;
    speak();
  }

  function hear() {
    heard = performance.now();
    if (!stale.hidden) { stale.hidden = true; stale.textContent = ""; }
    if (liveness.textContent !== LIVE) liveness.textContent = LIVE;
  }

  function everySecond() {
    tell(document);
    speak();
    const clock = byId("clock");
    const text = new Date(now()).toISOString();
    clock.dateTime = text.slice(0, 19) + "Z";
    clock.textContent = text.slice(11, 19) + " UTC";
    if (performance.now() - heard > SILENT_MS && stale.hidden) {
      const at = new Date(now() - (performance.now() - heard)).toISOString().slice(11, 19);
      stale.textContent = "This page hears nothing of the monitor any more. What it shows was true at " + at +
        " UTC: deadlines may have passed since. Reload it.";
      stale.hidden = false;
      liveness.textContent = "· does not update any more";
    }
  }

  const events = new EventSource(path);
  events.addEventListener("section", (event) => { hear(); replace(JSON.parse(event.data)); });
  events.addEventListener("tick", (event) => { hear(); head(JSON.parse(event.data)); });
  setInterval(everySecond, 1000);
})();
