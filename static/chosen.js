// Several rows of a list at a time: a form with data-chosen, the most rows that it takes. Its boxes are those of the rows.
"use strict";

for (const form of document.querySelectorAll("form[data-chosen]")) {
  const most = Number(form.dataset.chosen);
  const all = form.querySelector("[data-chosen-all]");
  const count = form.querySelector("[data-chosen-count]");
  const bar = count?.closest(".chosen");
  if (!all || !bar) continue;
  const boxes = () => [...form.elements].filter((one) => one.type === "checkbox" && one !== all);
  const isShown = (box) => !box.closest("tr").hidden;
  const show = () => {
    const every = boxes();
    const chosen = every.filter((box) => box.checked).length;
    all.checked = chosen > 0 && chosen >= Math.min(every.filter(isShown).length, most);
    all.indeterminate = chosen > 0 && !all.checked;
    count.textContent = chosen > 0 ? count.dataset.chosenCount.replace("{}", chosen) : "";
    bar.classList.toggle("some", chosen > 0);
  };
  let last;
  document.addEventListener("click", (event) => {
    const box = event.target;
    if (box === all) {
      let room = all.checked ? most : 0;
      for (const one of boxes()) {
        one.checked = isShown(one) && room > 0;
        if (one.checked) room -= 1;
      }
    } else if (boxes().includes(box)) {
      // With the shift key: every row between this box and the one before.
      const shown = boxes().filter(isShown);
      const [from, to] = [shown.indexOf(last), shown.indexOf(box)].sort((a, b) => a - b);
      if (event.shiftKey && from >= 0) for (const one of shown.slice(from, to)) one.checked = box.checked;
      last = box;
    } else return;
    show();
  });
  // What a filter hides is not meant.
  document.addEventListener("input", (event) => {
    if (!event.target.matches("[data-filter]")) return;
    for (const box of boxes()) if (!isShown(box)) box.checked = false;
    show();
  });
  // A browser that goes back fills in the boxes again.
  addEventListener("pageshow", show);
  show();
}
