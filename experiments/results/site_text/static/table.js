// Sorts a table by the column whose head is pressed; the first press puts the greatest first.
"use strict";

function keyOf(row, column) {
  const text = row.cells[column].textContent.trim();
  const number = parseFloat(text.replace(/,/g, "").replace("\u2212", "-"));
  return Number.isNaN(number) ? text.toLowerCase() : number;
}

function compare(one, other) {
  if (typeof one === "number" && typeof other === "number") return one - other;
  if (typeof one === "number") return 1; // what is not there stands below every number
  if (typeof other === "number") return -1;
  return one < other ? -1 : one > other ? 1 : 0;
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => {
      const falling = head.getAttribute("aria-sort") !== "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", falling ? "descending" : "ascending");
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => [keyOf(row, column), row]);
      rows.sort((x, y) => (falling ? compare(y[0], x[0]) : compare(x[0], y[0])));
      body.append(...rows.map((pair) => pair[1]));
    });
  });
}
