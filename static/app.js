// What pages do beyond plain HTML. Every page works without it.
"use strict";

// Copy buttons: <button data-copy="#id-of-the-source" data-copied="Copied">.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const source = document.querySelector(button.dataset.copy);
  if (!source) return;
  const text = "value" in source ? source.value : source.textContent;
  const label = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // No clipboard on plain http: select the text, so that the visitor can copy it.
    if ("select" in source) { source.select(); return; }
    const range = document.createRange();
    range.selectNodeContents(source);
    const selection = getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    return;
  }
  button.textContent = button.dataset.copied;
  setTimeout(() => { button.textContent = label; }, 1500);
});

// Forms that send themselves when a choice changes; their button, [data-fallback], is for visitors without scripts.
for (const form of document.querySelectorAll("form[data-autosubmit]")) {
  form.addEventListener("change", () => form.requestSubmit());
}

// A choice that depends on another: <select data-follows="#other"> offers only the group of the other's value.
for (const choice of document.querySelectorAll("select[data-follows]")) {
  const other = document.querySelector(choice.dataset.follows);
  const narrow = () => {
    for (const group of choice.querySelectorAll("optgroup")) {
      group.disabled = group.hidden = other.value !== "" && group.dataset.of !== other.value;
    }
    if (choice.selectedOptions[0]?.closest("optgroup")?.disabled) choice.value = "";
  };
  other.addEventListener("change", narrow);
  if (choice.getAttribute("aria-invalid") !== "true") narrow();
}

// On a phone the navigation is one line that scrolls: show where the visitor is.
const current = document.querySelector(".nav[aria-current=page]");
const line = current?.closest("ul");
if (line && line.scrollWidth > line.clientWidth) {
  line.scrollLeft = current.offsetLeft - (line.clientWidth - current.offsetWidth) / 2;
}

// <input data-filter="#table"> hides the rows that do not hold the text.
for (const input of document.querySelectorAll("input[data-filter]")) {
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    for (const row of document.querySelectorAll(`${input.dataset.filter} tbody tr`)) {
      row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted);
    }
  });
}

// The server's clock, as far as the page says when it was made: <... data-now="milliseconds since 1970">.
const made = document.querySelector("[data-now]");
const clockOffset = made ? Number(made.dataset.now) - Date.now() : 0;
const serverNow = () => Date.now() + clockOffset;

// Times that count: <time datetime="..." data-until> down to one that is near, <time datetime="..." data-since> up.
const clockText = (seconds) => {
  const two = (number) => String(number).padStart(2, "0");
  const [hours, minutes, rest] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
};
const count = () => {
  if (document.hidden) return;
  for (const time of document.querySelectorAll("time[data-until], time[data-since]")) {
    const at = Date.parse(time.dateTime);
    if ("until" in time.dataset) {
      const left = Math.ceil((at - serverNow()) / 1000);
      if (left >= 0 && left < 86_400) time.textContent = clockText(left);
    } else {
      time.textContent = clockText(Math.max(0, Math.floor((serverNow() - at) / 1000)));
    }
  }
};
if (document.querySelector("[data-live], time[data-until], time[data-since]")) {
  count();
  setInterval(count, 1000);
}

// Parts of pages that keep themselves up to date: <div data-live="URL" data-etag="...">. Nothing is asked while nobody looks: while
// the page is hidden, while its button pauses it, and with data-hold while it is pointed at or holds the focus.
for (const part of document.querySelectorAll("[data-live]")) {
  const every = 2000;
  const state = document.querySelector("[data-live-state]");
  const label = state?.textContent;
  const button = document.querySelector(`[data-live-pause="#${part.id}"]`);
  let etag = part.dataset.etag;
  let failures = 0;
  let timer;
  let asking = false;
  let paused = false;
  const isHeld = () => "hold" in part.dataset && (part.matches(":hover") || part.contains(document.activeElement));
  // How the same link or region is found in the new part.
  const address = (element) => {
    const name = ["id", "href", "aria-label"].find((name) => element.hasAttribute(name));
    return name ? `[${name}="${CSS.escape(element.getAttribute(name))}"]` : null;
  };
  const hasSelection = () => {
    const selection = getSelection();
    return selection && !selection.isCollapsed && part.contains(selection.anchorNode);
  };
  const show = () => {
    if (!state) return;
    state.classList.toggle("stale", failures > 1 && !paused);
    state.classList.toggle("paused", paused);
    const text = paused ? state.dataset.paused : failures > 1 ? state.dataset.stale : label;
    if (state.textContent !== text) state.textContent = text;
  };
  const ask = async () => {
    const answer = await fetch(part.dataset.live, {
      headers: { "hx-request": "true", "if-none-match": etag }, cache: "no-store", redirect: "manual",
    });
    if (answer.status === 401) return location.reload();
    if (answer.status === 304) return;
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const text = await answer.text();
    if (paused || isHeld() || hasSelection()) return;
    const known = new Set([...part.querySelectorAll("[data-row]")].map((row) => row.dataset.row));
    const focused = part.contains(document.activeElement) ? address(document.activeElement) : null;
    etag = answer.headers.get("etag") ?? "";
    part.innerHTML = text;
    if (focused) part.querySelector(focused)?.focus();
    for (const row of part.querySelectorAll("[data-row]")) {
      if (known.size > 0 && !known.has(row.dataset.row)) row.classList.add("fresh");
    }
    count();
  };
  const turn = async () => {
    // One question at a time: that of a page that was hidden meanwhile goes on by itself.
    if (asking) return;
    if (!document.hidden && !paused && !isHeld()) {
      asking = true;
      try {
        await ask();
        failures = 0;
      } catch {
        failures += 1;
      }
      asking = false;
      show();
    }
    // A server that does not answer is asked less and less often.
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(turn, every * Math.min(2 ** Math.max(0, failures - 1), 15));
  };
  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) turn();
  });
  button?.addEventListener("click", () => {
    // The label alone says what a press does; aria-pressed beside it would say the opposite.
    paused = !paused;
    button.dataset.pause ??= button.textContent;
    button.textContent = paused ? button.dataset.goOn : button.dataset.pause;
    show();
  });
  timer = setTimeout(turn, every);
}

// Whether streams arrive piece by piece: <button data-stream-test="URL" data-over="milliseconds">.
for (const button of document.querySelectorAll("[data-stream-test]")) {
  const result = document.querySelector("#stream-result");
  const fix = document.querySelector("#stream-fix");
  const tell = (style, text) => {
    result.hidden = false;
    result.className = `notice ${style}`;
    result.textContent = text;
  };
  button.addEventListener("click", async () => {
    const { streamTest, over, good, held, failed, running } = button.dataset;
    button.disabled = true;
    tell("", running);
    try {
      const answer = await fetch(streamTest, { cache: "no-store" });
      if (!answer.ok) throw new Error(`status ${answer.status}`);
      const reader = answer.body.getReader();
      let [first, last] = [0, 0];
      for (;;) {
        const { done } = await reader.read();
        if (done) break;
        last = performance.now();
        first ||= last;
      }
      const isGood = last - first >= Number(over) / 2;
      tell(isGood ? "ok" : "bad", isGood ? good : held);
      fix.hidden = isGood;
    } catch {
      tell("bad", failed);
    }
    button.disabled = false;
  });
}
