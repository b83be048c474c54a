"use strict";
(() => {
  const bar = document.getElementById("filter");
  const rounds = [...document.querySelectorAll("details.round")];
  const unfolded = rounds.map((round) => round.open);

  const apply = () => {
    const number = bar.elements.round.value;
    const label = bar.elements.label.value;
    let shown = 0;
    rounds.forEach((round, index) => {
      let here = 0;
      for (const card of round.querySelectorAll(".card")) {
        const fits = (!number || round.dataset.round === number) && (!label || card.dataset.label === label);
        card.hidden = !fits;
        here += fits;
      }
      round.hidden = here === 0;
      round.open = number || label ? here > 0 : unfolded[index];
      shown += here;
    });
    bar.elements.shown.value = `${shown} of ${bar.dataset.total}`;
  };

  if (bar) {
    bar.hidden = false;
    bar.addEventListener("change", apply);
    apply();
  }
  addEventListener("beforeprint", () => rounds.forEach((round) => { round.open = true; }));
})();
