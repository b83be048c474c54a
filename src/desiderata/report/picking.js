"use strict";
(() => {
  const told = document.getElementById("told");
  const { number, line, copy } = told.elements;
  const most = Number(told.dataset.most);
  const boxes = [...document.querySelectorAll("#rows input")];

  const apply = () => {
    const picked = boxes.filter((box) => box.checked);
    for (const box of boxes) box.disabled = picked.length >= most && !box.checked;
    number.value = `${picked.length} of ${most} picked`;
    line.value = picked.length ? [told.dataset.command, ...picked.map((box) => box.value)].join(" ") : "";
    copy.disabled = !picked.length;
    copy.textContent = "Copy";
  };

  const copied = async () => {
    try {
      await navigator.clipboard.writeText(line.value);
      return true;
    } catch { // where the page may not use the clipboard by itself
      line.focus();
      line.select();
      return document.execCommand("copy");
    }
  };

  copy.addEventListener("click", async () => {
    copy.textContent = (await copied()) ? "Copied" : "Press Ctrl+C"; // what is to be copied is selected
  });
  document.getElementById("rows").addEventListener("change", apply);
  told.addEventListener("submit", (event) => event.preventDefault());
  told.hidden = false;
  apply();
})();
