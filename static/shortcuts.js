// Keyboard shortcuts. Pages name what they lead to: [data-go] with the letter after "g", [data-new], [data-filter], #search.
"use strict";

{
  const dialog = document.querySelector("#shortcuts");
  const field = document.querySelector("#search");
  const on = document.querySelector("#shortcuts-on");
  // Who switched them off did so for this browser; where nothing can be kept, they are on.
  const kept = "onepool_shortcuts";
  const keep = (value) => { try { localStorage.setItem(kept, value); } catch { /* Only until the page is left. */ } };
  try { if (on) on.checked = localStorage.getItem(kept) !== "off"; } catch { /* As above. */ }
  on?.addEventListener("change", () => keep(on.checked ? "on" : "off"));

  const explain = () => { if (dialog && !dialog.open) dialog.showModal(); };
  document.querySelector("[data-shortcuts]")?.addEventListener("click", explain);
  // A click beside the dialog closes it.
  dialog?.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });

  const focus = (input) => { input.focus(); input.select?.(); };
  const isField = (element) => element.closest?.("input, textarea, select, [contenteditable]") !== null;
  let afterG = -Infinity;

  const act = (key, time) => {
    if (time - afterG < 1500) {
      afterG = -Infinity;
      const link = document.querySelector(`[data-go="${CSS.escape(key)}"]`);
      link?.click();
      return link !== null;
    }
    switch (key) {
      case "/": if (field) focus(field); return field !== null;
      case "?": explain(); return true;
      case "g": afterG = time; return true;
      case "n": {
        const link = document.querySelector("[data-new]");
        link?.click();
        return link !== null;
      }
      case "e": {
        const filter = document.querySelector("main input[data-filter], main input[type=search]");
        if (filter) focus(filter);
        return filter !== null;
      }
      default: return false;
    }
  };

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key === "Escape") {
      // Dialogs close by themselves. A field of a search is emptied first.
      if (!event.target.matches?.("input[type=search]")) return;
      if (event.target.value === "") {
        event.target.blur();
      } else {
        event.target.value = "";
        event.target.dispatchEvent(new Event("input", { bubbles: true }));
        event.preventDefault();
      }
      return;
    }
    if (event.repeat || isField(event.target) || document.querySelector("dialog[open]") || on?.checked === false) return;
    if (act(event.key.length === 1 ? event.key.toLowerCase() : event.key, event.timeStamp)) event.preventDefault();
  });
}
