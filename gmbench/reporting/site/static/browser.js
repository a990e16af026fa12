// The browser of examples: filters, a list in pages, one example with its boxes and sentences.
// Words of examples are only ever set as text, so that markup in them stays text.
"use strict";

const SVG = "http://www.w3.org/2000/svg";
const PAGE = 50;
const data = window.gmbench;
const at = (id) => document.getElementById(id);
const filters = ["a", "b", "show", "kind", "error", "search"].map(at);
const shown = { gold: true, a: true, b: true };
let found = [];
let page = 0;
let current = null;

function element(name, text, classes = "") {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (classes) made.className = classes;
  return made;
}

function ofKind(gold, kind) {
  if (!kind) return true;
  if (kind === "in the image") return gold.boxes.length > 0;
  if (kind === "not in the image") return gold.boxes.length === 0;
  return gold.type === kind;
}

function passes(example) {
  const [a, b] = [example.runs[+at("a").value], example.runs[+at("b").value]];
  const [show, kind, error] = [at("show").value, at("kind").value, at("error").value];
  const wanted = at("search").value.trim().toLowerCase();
  if (wanted && !`${example.id} ${example.words.join(" ")}`.toLowerCase().includes(wanted)) return false;
  if (error && ![a, b].some((run) => run.fates.includes(error) || run.answers.some((x) => x.verdict === error))) return false;
  if (!show) return !kind || example.gold.some((gold) => ofKind(gold, kind));
  return example.gold.some((gold, n) => {
    if (!ofKind(gold, kind)) return false;
    const [one, two] = [a.fates[n] === "correct", b.fates[n] === "correct"];
    return { a: one && !two, b: two && !one, both: one && two, neither: !one && !two }[show];
  });
}

function filter() {
  const id = current && current.id;
  found = data.examples.filter(passes);
  at("count").textContent = `${found.length} of ${data.examples.length} examples`;
  const place = Math.max(0, found.findIndex((example) => example.id === id));
  open(place);
}

function open(place) {
  current = found[place] || null;
  page = Math.floor(place / PAGE);
  list();
  draw();
  remember();
}

function list() {
  const rows = found.slice(page * PAGE, (page + 1) * PAGE).map((example, n) => {
    const button = element("button", example.words.join(" "));
    button.type = "button";
    if (example === current) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => open(page * PAGE + n));
    const row = element("li");
    row.append(button);
    return row;
  });
  at("list").replaceChildren(...rows);
  const last = Math.max(1, Math.ceil(found.length / PAGE));
  at("page").textContent = `page ${page + 1} of ${last}`;
  at("back").disabled = page === 0;
  at("more").disabled = page + 1 >= last;
  const chosen = at("list").querySelector("[aria-current]");
  if (chosen) chosen.scrollIntoView({ block: "nearest" });
}

function rectangle(box, who, label, size) {
  const [x1, y1, x2, y2] = box;
  const rect = document.createElementNS(SVG, "rect");
  for (const [name, value] of [["x", x1], ["y", y1], ["width", Math.max(0, x2 - x1)], ["height", Math.max(0, y2 - y1)]]) {
    rect.setAttribute(name, value);
  }
  rect.setAttribute("class", who);
  const text = document.createElementNS(SVG, "text");
  const tall = Math.max(...size) / 32;
  text.setAttribute("x", x1 + tall * 0.2);
  text.setAttribute("y", y1 + tall * { gold: 1, a: 2.1, b: 3.2 }[who]);
  text.setAttribute("font-size", tall);
  text.textContent = label;
  const group = document.createElementNS(SVG, "g");
  group.append(rect, text);
  return group;
}

function picture(example, sides) {
  if (!example.size) return element("p", "No picture.", "small");
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${example.size[0]} ${example.size[1]}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", "Picture of the example with boxes; the sentences below say the same");
  if (example.image) {
    const image = document.createElementNS(SVG, "image");
    image.setAttribute("href", example.image);
    image.setAttribute("width", example.size[0]);
    image.setAttribute("height", example.size[1]);
    image.setAttribute("preserveAspectRatio", "none");
    svg.append(image);
  }
  for (const side of sides) {
    if (!shown[side.who]) continue;
    for (const row of side.rows) {
      for (const box of row.boxes) svg.append(rectangle(box, side.who, `${side.short} ${row.number}`, example.size));
    }
  }
  return svg;
}

function sentence(example, side) {
  const block = element("div", undefined, `sentence ${side.who}`);
  block.append(element("h3", side.name));
  const line = element("p");
  example.words.forEach((word, n) => {
    if (n) line.append(" ");
    const row = side.rows.find((one) => one.start <= n && n <= one.end);
    if (row) {
      const mark = element("mark", word);
      mark.title = row.type;
      line.append(mark);
    } else line.append(word);
  });
  block.append(line);
  const entities = element("ul");
  for (const row of side.rows) {
    const item = element("li", `${row.number}  ${example.words.slice(row.start, row.end + 1).join(" ")} \u2192 ${row.type}, ${row.where}`);
    if (row.verdict) item.append(", ", element("span", row.verdict === "correct" ? "\u2713 right" : `\u2717 ${row.verdict.replace("_", " and ")}`, row.verdict === "correct" ? "right" : "wrong"));
    entities.append(item);
  }
  if (!side.rows.length) entities.append(element("li", "no entity"));
  block.append(entities);
  return block;
}

function sidesOf(example) {
  const where = (boxes) => (!data.pixels ? "text only" : boxes.length ? `${boxes.length} box${boxes.length > 1 ? "es" : ""}` : "not in the image");
  const gold = example.gold.map((g, n) => ({ ...g, number: n + 1, where: where(g.boxes) }));
  const sides = [{ who: "gold", short: "gold", name: "Gold", rows: gold }];
  for (const who of at("a").value === at("b").value ? ["a"] : ["a", "b"]) {
    const number = +at(who).value;
    let last = gold.length;
    const rows = example.runs[number].answers.map((x) => {
      const boxes = x.box ? [x.box] : [];
      return { ...x, boxes, number: x.gold === null ? (last += 1) : x.gold + 1, where: where(boxes) };
    });
    sides.push({ who, short: who === "a" ? "first" : "second", name: data.runs[number], rows });
  }
  return sides;
}

function draw() {
  if (!current) {
    at("id").textContent = "No example passes these filters.";
    at("picture").replaceChildren();
    at("sentences").replaceChildren();
    return;
  }
  const sides = sidesOf(current);
  at("id").textContent = current.id;
  at("picture").replaceChildren(picture(current, sides));
  at("sentences").replaceChildren(...sides.map((side) => sentence(current, side)));
}

function remember() {
  const said = new URLSearchParams();
  for (const one of filters) if (one.value) said.set(one.id, one.value);
  if (current) said.set("id", current.id);
  history.replaceState(null, "", `#${said}`);
}

function recall() {
  const said = new URLSearchParams(location.hash.slice(1));
  for (const one of filters) {
    if (!said.has(one.id)) continue;
    one.value = said.get(one.id);
    if (one.selectedIndex === -1) one.selectedIndex = 0; // a link to a run or kind that is not here
  }
  current = data.examples.find((example) => example.id === said.get("id")) || null;
}

function step(by) {
  const place = found.indexOf(current) + by;
  if (place >= 0 && place < found.length) open(place);
}

function toggle(who) {
  shown[who] = !shown[who];
  at(`${who}-boxes`).setAttribute("aria-pressed", shown[who]);
  draw();
}

for (const one of filters) one.addEventListener("input", filter);
at("filters").addEventListener("submit", (event) => event.preventDefault());
at("next").addEventListener("click", () => step(1));
at("previous").addEventListener("click", () => step(-1));
at("back").addEventListener("click", () => open(Math.max(0, (page - 1) * PAGE)));
at("more").addEventListener("click", () => open((page + 1) * PAGE));
for (const who of ["gold", "a", "b"]) at(`${who}-boxes`).addEventListener("click", () => toggle(who));
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT)$/.test(event.target.tagName)) return;
  const does = { j: () => step(1), k: () => step(-1), g: () => toggle("gold"), a: () => toggle("a"), b: () => toggle("b"), "/": () => at("search").focus() }[event.key];
  if (does) {
    event.preventDefault();
    does();
  }
});
window.addEventListener("hashchange", () => {
  recall();
  filter();
});

recall();
filter();
