// The box that selects all tasks of a page, and how many are selected.
const form = document.querySelector("[data-select]");
const boxes = [...(form?.querySelectorAll("input[name=id]") ?? [])];
const all = form?.querySelector("[data-all]");

function count() {
  const number = boxes.filter((box) => box.checked).length;
  form.querySelector("[data-count]").textContent = number ? `(${number})` : "";
  all.checked = number === boxes.length;
  all.indeterminate = number > 0 && number < boxes.length;
}

if (all) {
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const box of boxes) box.checked = all.checked;
    count();
  });
  for (const box of boxes) box.addEventListener("change", count);
  count(); // a browser that goes back restores what was selected
}
