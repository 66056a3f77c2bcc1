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

// "/" goes to the filter, as on many sites.
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const filter = document.querySelector("[data-filter]");
  if (filter) { event.preventDefault(); filter.focus(); }
});

// <input data-filter="#table"> hides the rows that do not hold the text.
for (const input of document.querySelectorAll("input[data-filter]")) {
  input.addEventListener("input", () => {
    const wanted = input.value.trim().toLowerCase();
    for (const row of document.querySelectorAll(`${input.dataset.filter} tbody tr`)) {
      row.hidden = wanted !== "" && !row.textContent.toLowerCase().includes(wanted);
    }
  });
}
